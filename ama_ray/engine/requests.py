"""What can be asked of an engine, in token ids; made once per run, the same for every trial. Imports no vllm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ama_ray.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.config import Drawing
    from ama_ray.data.prompting import Prompting
    from ama_ray.data.rows import Row
    from ama_ray.data.thinking import Thinking


@dataclass(frozen=True)
class Generation:
    """Replies to one prompt.

    Attributes:
        prompt: Token ids.
        max_tokens: Most tokens per reply.
        temperature: 0 is greedy.
        n: Number of replies.
        seed: Of the sampling; the same in every trial, so that trials differ by their weights alone.
        stop: Strings that end a reply, besides end tokens; not in its thinking, and not part of it.
        ends: End tokens, besides those that the engine's own checkpoint names.
        stop_token_ids: Tokens that end a reply, anywhere.
        top_p: Sampled are the likeliest tokens that have this much probability together.
        top_k: Sampled are so many of the likeliest tokens; 0 for all.
        min_p: Sampled are tokens with at least this share of the likeliest one's probability.
        repetition_penalty: Above 1 against tokens that stand in prompt or reply already.
        thinking: Where a reply's thinking ends; None where all of it is its answer.
    """

    prompt: tuple[int, ...]
    max_tokens: int
    temperature: float = 0.0
    n: int = 1
    seed: int = 0
    stop: tuple[str, ...] = ()
    ends: tuple[int, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    thinking: Thinking | None = None

    @classmethod
    def drawn(
        cls,
        prompting: Prompting,
        prompt: str | Sequence[dict[str, str]],
        row: Row,
        sampling: Drawing,
        *,
        max_tokens: int,
        stop: tuple[str, ...],
        n: int,
        seed: int,
    ) -> Generation:
        """Replies to the prompt of a row, drawn as a run file says.

        Args:
            prompting: It makes tokens of the prompt.
            prompt: A text, or with a chat template messages.
            row: Where it is from, for errors.
            sampling: How replies are drawn, apart from `n` and `seed`.
            max_tokens: Most tokens per reply.
            stop: Strings that end a reply.
            n: Number of replies.
            seed: Of the sampling; reply i has the seed + i.

        Raises:
            UserError: The prompt cannot be tokenised.
        """
        tokens, thinking = prompting.asked(prompt, row)
        return cls(
            tokens,
            max_tokens=max_tokens,
            temperature=sampling.temperature,
            n=n,
            seed=seed,
            stop=stop,
            stop_token_ids=sampling.stop_token_ids,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            min_p=sampling.min_p,
            repetition_penalty=sampling.repetition_penalty,
            thinking=thinking,
        )

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


Finish = Literal["end", "stop", "length"]
"""What ended a reply: an end token, a stop string, or the length it may have."""

Logprobs = tuple[list[int], list[float]]
"""Tokens with their log-probabilities, all positions one after the other."""


@dataclass(frozen=True)
class Answer:
    """The answer to one request.

    Attributes:
        texts: Of every reply.
        finishes: What ended every reply.
        counts: Of tokens, of every reply.
        tokens: Of the first reply.
        logprobs: Of what was asked for at each generated token of the first reply; None where nothing was.
        prompt_logprobs: Of what was asked for in the prompt; None where nothing was.
    """

    texts: list[str]
    finishes: list[Finish]
    counts: list[int]
    tokens: list[int]
    logprobs: Logprobs | None
    prompt_logprobs: Logprobs | None

    @classmethod
    def of(cls, output: Any) -> Answer:
        """Reads vLLM's `RequestOutput`, whose log-probabilities are flat."""
        first = output.outputs[0]
        return cls(
            [reply.text for reply in output.outputs],
            [_finish(reply) for reply in output.outputs],
            [len(reply.token_ids) for reply in output.outputs],
            list(first.token_ids),
            _plain(first.logprobs),
            _plain(output.prompt_logprobs),
        )


def _finish(reply: Any) -> Finish:
    if reply.finish_reason == "length":
        return "length"
    # A stop string is named; of tokens, those of the model's generation_config are named, too.
    return "stop" if isinstance(reply.stop_reason, str) else "end"


def _plain(flat: Any) -> Logprobs | None:
    return None if flat is None else (list(flat.token_ids), list(flat.logprobs))
