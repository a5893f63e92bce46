"""Log-probabilities of the tokens that are asked for, computed where the hidden states are.

vLLM has two model runners, which keep the requests of a step in different ways, and each has a hook of its own here.
What other requests ask of their prompts, vLLM's own methods answer as before.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ama_ray.engine.prefix_tree import POSITIONS, TOKENS, UNSCORED, ScoringError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROWS = 256
"""Most positions whose logits are held at once: with 256k words, 0.5 GiB in float32 with their softmax."""
FIRST = {"_get_prompt_logprobs_dict": ["hidden_states", "num_scheduled_tokens"]}
"""What the first model runner has for log-probabilities of prompts: the method, with its arguments."""
SECOND = {
    "add_request": ["req_id", "req_idx", "sampling_params"],
    "remove_request": ["req_id"],
    "compute_prompt_logprobs": [
        *("logits_fn", "hidden_states", "input_batch", "all_token_ids", "num_computed_tokens", "prompt_lens")
    ],
}
"""What the second one has, in its `prompt_logprobs_worker`."""


def score_targets(runner: Any) -> None:
    """Has the targets of requests (`Branch.extra_args`) scored from here on.

    Args:
        runner: Either model runner of vLLM, with its model.

    Raises:
        ScoringError: It is neither: it lacks a method, or one takes other arguments.
    """
    worker = getattr(runner, "prompt_logprobs_worker", None)
    if worker is None:
        FirstHook(runner)
    else:
        SecondHook(worker)


def _methods(owner: Any, wanted: Mapping[str, list[str]]) -> list[Any]:
    methods = [getattr(owner, name, None) for name in wanted]
    for (name, arguments), method in zip(wanted.items(), methods, strict=True):
        if method is None or list(inspect.signature(method).parameters) != arguments:
            raise ScoringError(
                f"{type(owner).__module__}.{type(owner).__name__} has no method {name}({', '.join(arguments)}); "
                "log-likelihoods need a version of vLLM that ama_ray knows"
            )
    return methods


class FirstHook:
    """In the place of the first model runner's own method."""

    def __init__(self, runner: Any) -> None:
        """Puts itself there."""
        (self._own,) = _methods(runner, FIRST)
        (name,) = FIRST
        self._runner = runner
        setattr(runner, name, self)

    def __call__(self, hidden_states: torch.Tensor, num_scheduled_tokens: Mapping[str, int]) -> dict[str, Any]:
        """Scores the targets that this step computed.

        Args:
            hidden_states: Of all tokens of the step.
            num_scheduled_tokens: Of these, the number by request.

        Returns:
            What vLLM passes on of every request whose prompt is complete.
        """
        runner = self._runner
        states = {request: runner.requests[request] for request in runner.num_prompt_logprobs}
        ours = {request: state for request, state in states.items() if _has_targets(state.sampling_params)}
        wanted = {request: runner.num_prompt_logprobs.pop(request) for request in ours}
        complete: dict[str, Any] = self._own(hidden_states, num_scheduled_tokens)
        parts = []
        for request, state in ours.items():
            if request in num_scheduled_tokens:  # else put off, to make room for others
                answer = state.in_progress_prompt_logprobs_cpu or TargetAnswer(state.sampling_params.extra_args)
                state.in_progress_prompt_logprobs_cpu = answer
                start = state.num_computed_tokens
                row = int(runner.query_start_loc.np[runner.input_batch.req_id_to_index[request]])
                parts.append(PromptPart(answer, start, start + num_scheduled_tokens[request], row))
                if parts[-1].end >= len(state.prompt_token_ids):
                    complete[request] = answer.tensors
                    state.in_progress_prompt_logprobs_cpu = None
                    continue
            runner.num_prompt_logprobs[request] = wanted[request]
        score(parts, hidden_states, runner.model.compute_logits)
        return complete


class SecondHook:
    """In the place of three methods of the second model runner's worker for log-probabilities of prompts."""

    def __init__(self, worker: Any) -> None:
        """Puts itself there."""
        self._add, self._remove, self._compute = _methods(worker, SECOND)
        self._worker = worker
        self._answers: dict[str, TargetAnswer] = {}
        for name, method in zip(SECOND, (self._add_request, self._remove_request, self._compute_both), strict=True):
            setattr(worker, name, method)

    def _add_request(self, req_id: str, req_idx: int, sampling_params: Any) -> None:
        self._add(req_id, req_idx, sampling_params)
        if _has_targets(sampling_params):
            self._worker.uses_prompt_logprobs[req_idx] = False
            self._answers[req_id] = TargetAnswer(sampling_params.extra_args)

    def _remove_request(self, req_id: str) -> None:
        self._remove(req_id)
        self._answers.pop(req_id, None)

    def _compute_both(
        self,
        logits_fn: Callable[[torch.Tensor], torch.Tensor],
        hidden_states: torch.Tensor,
        input_batch: Any,
        *others: Any,
    ) -> dict[str, Any]:
        """See `FirstHook.__call__`."""
        complete: dict[str, Any] = self._compute(logits_fn, hidden_states, input_batch, *others)
        *_, prompt_lens = others
        parts = []
        for place, request in enumerate(input_batch.req_ids):
            if request in self._answers:
                start = int(input_batch.num_computed_prefill_tokens_np[place])
                end = start + int(input_batch.num_scheduled_tokens[place])
                parts.append(PromptPart(self._answers[request], start, end, int(input_batch.query_start_loc_np[place])))
                if end >= prompt_lens[input_batch.idx_mapping_np[place]]:
                    complete[request] = self._answers.pop(request).tensors
        score(parts, hidden_states, logits_fn)
        return complete


def _has_targets(sampling_params: Any) -> bool:
    return POSITIONS in (sampling_params.extra_args or {})


class TargetAnswer:
    """What a request is answered, as far as its prompt has been computed.

    Attributes:
        positions: Of its targets.
        tokens: The targets.
        tensors: A row per target, as vLLM passes it on: token, log-probability, an empty rank.
    """

    def __init__(self, extra_args: Mapping[str, list[int]]) -> None:
        """Empty, to a request with these arguments."""
        from vllm.v1.outputs import LogprobsTensors

        self.positions, self.tokens = (extra_args[name] for name in (POSITIONS, TOKENS))
        count = len(self.tokens)
        self.tensors: Any = LogprobsTensors(
            torch.tensor(self.tokens, dtype=torch.int32).unsqueeze(1),
            torch.full((count, 1), UNSCORED),
            torch.zeros(count, dtype=torch.int32),
        )


@dataclass(frozen=True)
class PromptPart:
    """The part of a prompt that a step computed.

    Attributes:
        answer: To its request.
        start: Its first position.
        end: The position after its last one.
        row: Of the hidden states, that of its first position.
    """

    answer: TargetAnswer
    start: int
    end: int
    row: int


def score(
    parts: Sequence[PromptPart], hidden_states: torch.Tensor, compute_logits: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    """Writes the log-probabilities of all targets that were computed into the answers.

    Args:
        parts: Of prompts.
        hidden_states: Of all tokens of the step.
        compute_logits: Makes logits of rows of them.
    """
    rows: list[int] = []
    tokens: list[int] = []
    places: list[list[int]] = []
    for part in parts:
        positions = part.answer.positions
        places.append([place for place, position in enumerate(positions) if part.start <= position < part.end])
        rows.extend(part.row + positions[place] - part.start for place in places[-1])
        tokens.extend(part.answer.tokens[place] for place in places[-1])
    if not rows:
        return
    found = []
    pairs = torch.tensor([rows, tokens], device=hidden_states.device)
    for some_rows, some_tokens in zip(*(tensor.split(ROWS) for tensor in pairs), strict=True):
        # The first tokens of a context's continuations all come after the same row.
        distinct, index = some_rows.unique(return_inverse=True)
        logits = compute_logits(hidden_states[distinct])
        found.append(logits.log_softmax(-1, dtype=torch.float32)[index, some_tokens])
    scores = torch.split(torch.cat(found).cpu(), [len(here) for here in places])
    for part, here, values in zip(parts, places, scores, strict=True):
        part.answer.tensors.logprobs[here, 0] = values
