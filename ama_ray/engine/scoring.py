"""Log-likelihoods of many continuations with nothing computed twice: the plan, and the worker's part in it.

All contexts and continuations of a batch form a tree of tokens; what the model says after one of its nodes is needed
once, whoever asks. `plan` covers the tree with branches, one prompt each, in an order in which a prompt has no more
tokens in common with any earlier one than with the one right before it. A branch is asked only for what follows later
positions than these, so whatever the prefix cache may take from earlier branches was scored there: no score is wanted
at a position that is cached. Every position is computed once, but for those that do not fill a block of the cache.

vLLM's own `prompt_logprobs` do without the prefix cache and compute logits for whole prompts, request by request.
`TargetScorer` takes their place in the worker: logits for the wanted positions only, those of a step together.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ama_ray.engine.requests import Continuations

POSITIONS, TOKENS = "ama_ray_positions", "ama_ray_tokens"
"""Names in a request's `extra_args`: the tokens whose log-probabilities are wanted, each right after its position."""
UNSCORED = float("inf")
"""In the place of a log-probability whose position was not computed, since the prefix cache had it."""
ROWS = 256
"""Most positions whose logits are held at once: with 256k words, 0.5 GiB in float32 with their softmax."""

HOOK = "_get_prompt_logprobs_dict"


class ScoringError(RuntimeError):
    """vLLM is not as `TargetScorer` needs it, or did not answer what was asked; nothing it scored can be trusted."""


@dataclass(frozen=True)
class Branch:
    """One prompt of a plan.

    Attributes:
        tokens: The prompt.
        targets: Whose log-probabilities are wanted: (position, token) for that of the token right after the position,
            each with its place in the answer.
    """

    tokens: tuple[int, ...]
    targets: dict[tuple[int, int], int] = field(default_factory=dict)

    @property
    def extra_args(self) -> dict[str, list[int]]:
        """What `TargetScorer` reads of a request."""
        return {POSITIONS: [position for position, _ in self.targets], TOKENS: [token for _, token in self.targets]}


@dataclass(frozen=True)
class Plan:
    """What to ask of the engine, and where the answers belong.

    Attributes:
        branches: The prompts, in the order in which the engine must take them.
        places: By request and continuation: for each token, a number of a branch and its place in that branch's answer.
    """

    branches: list[Branch]
    places: list[list[list[tuple[int, int]]]]

    def sums(self, scores: Sequence[Sequence[float]]) -> list[list[float]]:
        """By request, the sum of log-probabilities of each continuation.

        Args:
            scores: By branch, its answer.
        """
        return [[sum(scores[branch][place] for branch, place in one) for one in several] for several in self.places]


def plan(requests: Sequence[Continuations]) -> Plan:
    """Covers the tree of the requests' tokens with branches.

    A continuation's last token is scored and never fed, so it is in no prompt.

    Raises:
        ValueError: A context is empty: nothing says how likely the first token of a text is.
    """
    if not all(request.context for request in requests):
        raise ValueError("a continuation is scored after a context of one token or more")
    prompts = [
        (request.context + continuation[:-1], number, index)
        for number, request in enumerate(requests)
        for index, continuation in enumerate(request.continuations)
        if continuation
    ]
    branches: list[Branch] = []
    places: list[list[list[tuple[int, int]]]] = [[[] for _ in request.continuations] for request in requests]
    owner: list[int] = []  # by position, the branch that scores what comes after it
    # From last to first, so that a prompt that is the beginning of others comes after them, and needs no branch.
    for prompt, number, index in sorted(prompts, reverse=True):
        shared = _shared(branches[-1].tokens, prompt) if branches else 0
        if shared < len(prompt):
            owner[shared:] = [len(branches)] * (len(prompt) - shared)
            branches.append(Branch(prompt))
        request = requests[number]
        for target in enumerate(request.continuations[index], len(request.context) - 1):
            branch = owner[target[0]]
            targets = branches[branch].targets
            places[number][index].append((branch, targets.setdefault(target, len(targets))))
    return Plan(branches, places)


def _shared(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """How many tokens two prompts begin with in common."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))


class TargetScorer:
    """Answers in the place of the model runner's own method for prompt log-probabilities."""

    def __init__(self, runner: Any) -> None:
        """Puts itself in the runner.

        Raises:
            ScoringError: The runner has no such method, or it takes other arguments.
        """
        method = getattr(runner, HOOK, None)
        wanted = ["hidden_states", "num_scheduled_tokens"]
        if method is None or list(inspect.signature(method).parameters) != wanted:
            raise ScoringError(
                f"{type(runner).__module__}.{type(runner).__name__} has no method {HOOK}({', '.join(wanted)}); "
                "log-likelihoods need vLLM's first model runner (VLLM_USE_V2_MODEL_RUNNER=0) of a version that "
                "ama_ray knows"
            )
        self._runner = runner
        setattr(runner, HOOK, self)

    def __call__(self, hidden_states: torch.Tensor, num_scheduled_tokens: Mapping[str, int]) -> dict[str, Any]:
        """Scores the targets that this step computed.

        Args:
            hidden_states: Of all tokens of the step.
            num_scheduled_tokens: Of these, the number by request.

        Returns:
            For every request whose prompt is complete, a row per target: token, log-probability, an empty rank.
        """
        from vllm.v1.outputs import LogprobsTensors

        runner = self._runner
        rows: list[int] = []
        tokens: list[int] = []
        parts: list[tuple[torch.Tensor, list[int]]] = []
        complete = {}
        for request in list(runner.num_prompt_logprobs):
            if request not in num_scheduled_tokens:  # put off, to make room for others
                continue
            state = runner.requests[request]
            positions, wanted = (state.sampling_params.extra_args[name] for name in (POSITIONS, TOKENS))
            answer = state.in_progress_prompt_logprobs_cpu
            if answer is None:
                answer = state.in_progress_prompt_logprobs_cpu = LogprobsTensors(
                    torch.tensor(wanted, dtype=torch.int32).unsqueeze(1),
                    torch.full((len(wanted), 1), UNSCORED),
                    torch.zeros(len(wanted), dtype=torch.int32),
                )
            start = state.num_computed_tokens
            end = start + num_scheduled_tokens[request]
            here = [place for place, position in enumerate(positions) if start <= position < end]
            if here:
                offset = int(runner.query_start_loc.np[runner.input_batch.req_id_to_index[request]]) - start
                rows.extend(offset + positions[place] for place in here)
                tokens.extend(wanted[place] for place in here)
                parts.append((answer.logprobs, here))
            if end >= len(state.prompt_token_ids):
                complete[request] = answer
                del runner.num_prompt_logprobs[request]
                state.in_progress_prompt_logprobs_cpu = None
        if rows:
            scores = torch.split(self._logprobs(hidden_states, rows, tokens), [len(here) for _, here in parts])
            for (logprobs, here), values in zip(parts, scores, strict=True):
                logprobs[here, 0] = values
        return complete

    def _logprobs(self, hidden_states: torch.Tensor, rows: list[int], tokens: list[int]) -> torch.Tensor:
        """Log-probability of each token after its row, on the CPU."""
        parts = []
        pairs = torch.tensor([rows, tokens], device=hidden_states.device)
        for some_rows, some_tokens in zip(*(tensor.split(ROWS) for tensor in pairs), strict=True):
            # The first tokens of a context's continuations all come after the same row.
            distinct, index = some_rows.unique(return_inverse=True)
            logits = self._runner.model.compute_logits(hidden_states[distinct])
            parts.append(logits.log_softmax(-1, dtype=torch.float32)[index, some_tokens])
        return torch.cat(parts).cpu()
