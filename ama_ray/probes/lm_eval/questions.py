"""What instances of lm-evaluation-harness ask of an engine, in token ids, and their responses from its answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ama_ray.engine.requests import Continuations, Generation, NextToken

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ama_ray.data.prompting import Tokens
    from ama_ray.engine.requests import Request


@dataclass(frozen=True)
class Known:
    """What an engine answered, by what it was asked.

    Attributes:
        scores: Log-likelihood (nats) by context and continuation.
        likeliest: Token id by the context before it.
        replies: Text by request.
    """

    scores: dict[tuple[Tokens, Tokens], float]
    likeliest: dict[Tokens, int]
    replies: dict[Generation, str]

    @classmethod
    def of(cls, requests: Sequence[Request], answers: Sequence[Any]) -> Known:
        """Sorts the answers to requests."""
        known = cls({}, {}, {})
        for request, answer in zip(requests, answers, strict=True):
            match request:
                case Continuations():
                    for continuation, score in zip(request.continuations, answer, strict=True):
                        known.scores[request.context, continuation] = score
                case NextToken():
                    known.likeliest[request.context] = max(answer, key=answer.__getitem__)
                case Generation():
                    (reply,) = answer
                    known.replies[request] = reply.text
        return known


@dataclass(frozen=True)
class Likelihood:
    """One `loglikelihood` instance: the log-likelihood of a continuation, and whether it is what greedy decoding gives.

    Attributes:
        context: Token ids, at least one.
        continuation: Token ids, at least one.
        greedy: Whether the second half is asked for; where nothing depends on it, it costs a request per token.
    """

    context: Tokens
    continuation: Tokens
    greedy: bool = True

    @property
    def requests(self) -> tuple[Request, ...]:
        """What an engine is asked."""
        before = (self.context + self.continuation[:i] for i in range(len(self.continuation) if self.greedy else 0))
        return Continuations(self.context, (self.continuation,)), *(NextToken(context) for context in before)

    def response(self, known: Known) -> tuple[float, bool]:
        """The log-likelihood (nats), and whether every token is the likeliest one; False where it is not asked for."""
        is_greedy = self.greedy and all(
            known.likeliest[self.context + self.continuation[:i]] == token for i, token in enumerate(self.continuation)
        )
        return known.scores[self.context, self.continuation], is_greedy


@dataclass(frozen=True)
class Rolling:
    """One `loglikelihood_rolling` instance: a text in windows of a context and what is scored after it."""

    windows: tuple[tuple[Tokens, Tokens], ...]

    @property
    def requests(self) -> tuple[Request, ...]:
        """What an engine is asked."""
        return tuple(Continuations(context, (continuation,)) for context, continuation in self.windows)

    def response(self, known: Known) -> float:
        """The log-likelihood (nats) of the text."""
        return sum(known.scores[window] for window in self.windows)


@dataclass(frozen=True)
class GeneratedReply:
    """One `generate_until` instance.

    Attributes:
        request: One greedy reply.
        drops_space: Whether the space at the start of a reply belongs to what stands before it: transformers decodes
            a reply by itself, which, by the tokenizer's kind, loses that space.
    """

    request: Generation
    drops_space: bool

    @property
    def requests(self) -> tuple[Request, ...]:
        """What an engine is asked."""
        return (self.request,)

    def response(self, known: Known) -> str:
        """The text in front of the first stop string."""
        reply = known.replies[self.request]
        for stop in self.request.stop:
            reply = reply.split(stop)[0]
        return reply.removeprefix(" ") if self.drops_space else reply


Question = Likelihood | Rolling | GeneratedReply


def requests_of(questions: Iterable[Question]) -> tuple[Request, ...]:
    """All that the questions ask of an engine, each thing once, with a context's continuations in one request."""
    continuations: dict[Tokens, dict[Tokens, None]] = {}
    others: dict[Request, None] = {}
    for question in questions:
        for request in question.requests:
            if isinstance(request, Continuations):
                continuations.setdefault(request.context, {}).update(dict.fromkeys(request.continuations))
            else:
                others[request] = None
    return *(Continuations(context, tuple(after)) for context, after in continuations.items()), *others
