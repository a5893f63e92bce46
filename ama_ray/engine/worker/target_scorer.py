"""`TargetScorer`: log-probabilities of the tokens that are asked for, computed where the hidden states are."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch

from ama_ray.engine.prefix_tree import POSITIONS, TOKENS, UNSCORED, ScoringError

if TYPE_CHECKING:
    from collections.abc import Mapping


ROWS = 256
"""Most positions whose logits are held at once: with 256k words, 0.5 GiB in float32 with their softmax."""
HOOK = "_get_prompt_logprobs_dict"


class TargetScorer:
    """Answers in the place of the model runner's own method for prompt log-probabilities.

    That goes on to answer what clients of vLLM's OpenAI routes ask (`echo` with `logprobs`), which names no targets.
    """

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
        self._whole = method
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
        complete = self._without_targets(hidden_states, num_scheduled_tokens)
        for request in list(runner.num_prompt_logprobs):
            # One without targets has been seen to, and one that is not scheduled was put off, to make room for others.
            if request not in num_scheduled_tokens or not self._has_targets(request):
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

    def _has_targets(self, request: str) -> bool:
        return TOKENS in (self._runner.requests[request].sampling_params.extra_args or {})

    def _without_targets(self, hidden_states: torch.Tensor, num_scheduled_tokens: Mapping[str, int]) -> dict[str, Any]:
        """What vLLM's own method says to requests that name no targets."""
        runner = self._runner
        asked = runner.num_prompt_logprobs
        others = {request: number for request, number in asked.items() if not self._has_targets(request)}
        if not others:
            return {}
        try:
            runner.num_prompt_logprobs = dict(others)
            answers: dict[str, Any] = self._whole(hidden_states, num_scheduled_tokens)
            for request in others.keys() - runner.num_prompt_logprobs.keys():
                del asked[request]
        finally:
            runner.num_prompt_logprobs = asked
        return answers

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
