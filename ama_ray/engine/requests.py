"""What can be asked of an engine, in token ids; made once per run, the same for every trial. Imports no vllm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ama_ray.errors import UserError


@dataclass(frozen=True)
class Generation:
    """Replies to one prompt.

    Attributes:
        prompt: Token ids.
        max_tokens: Most tokens per reply.
        temperature: 0 is greedy.
        n: Number of replies.
        seed: Of the sampling; the same in every trial, so that trials differ by their weights alone.
        stop: Strings that end a reply (and are not part of it), besides end tokens.
        ends: End tokens, besides those that the engine's own checkpoint names.
    """

    prompt: tuple[int, ...]
    max_tokens: int
    temperature: float = 0.0
    n: int = 1
    seed: int = 0
    stop: tuple[str, ...] = ()
    ends: tuple[int, ...] = ()

    @property
    def length(self) -> int:
        """Tokens of context this may take."""
        return len(self.prompt) + self.max_tokens


@dataclass(frozen=True)
class Continuations:
    """The log-likelihoods of several continuations of one context, all token ids."""

    context: tuple[int, ...]
    continuations: tuple[tuple[int, ...], ...]

    @property
    def length(self) -> int:
        """Tokens of context this may take, the one generated token that ends every request included."""
        return len(self.context) + max(len(continuation) for continuation in self.continuations) + 1


@dataclass(frozen=True)
class NextToken:
    """The log-probabilities of what may come right after a context.

    Attributes:
        context: Token ids.
    """

    context: tuple[int, ...]

    @property
    def length(self) -> int:
        """Tokens of context this takes, the one generated token included."""
        return len(self.context) + 1


Request = Generation | Continuations | NextToken


def check_length(request: Request, limit: int | None, where: str) -> None:
    """Refuses a request that the model cannot take whole.

    Args:
        request: To check.
        limit: Most tokens the model takes, or None where that is not known.
        where: Whose it is, for the error: file and line.

    Raises:
        UserError: It is too long.
    """
    if limit is not None and request.length > limit:
        raise UserError(
            f"{where}: prompt and reply need {request.length} tokens, and the model takes {limit}; shorten the prompt "
            "or lower max_tokens."
        )


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
