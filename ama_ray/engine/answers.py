"""`Answer`: what an engine is read for of vLLM's output to one request, in plain numbers and text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Logprobs = tuple[list[int], list[float]]
"""Tokens with their log-probabilities, all positions one after the other."""


@dataclass(frozen=True)
class Answer:
    """The answer to one request.

    Attributes:
        texts: Of every reply.
        tokens: Of the first reply.
        logprobs: Of what was asked for at each generated token of the first reply; None where nothing was.
        prompt_logprobs: Of what was asked for in the prompt; None where nothing was.
    """

    texts: list[str]
    tokens: list[int]
    logprobs: Logprobs | None
    prompt_logprobs: Logprobs | None

    @classmethod
    def of(cls, output: Any) -> Answer:
        """Reads vLLM's `RequestOutput`, whose log-probabilities are flat."""
        first = output.outputs[0]
        return cls(
            [reply.text for reply in output.outputs],
            list(first.token_ids),
            _plain(first.logprobs),
            _plain(output.prompt_logprobs),
        )


def _plain(flat: Any) -> Logprobs | None:
    return None if flat is None else (list(flat.token_ids), list(flat.logprobs))
