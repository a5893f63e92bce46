"""Kinds of probes that generate, and those of them that score each reply by itself."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self
from zlib import crc32

import numpy as np
from pydantic import Field, model_validator

from ama_ray.config.fields import Called
from ama_ray.config.sampling import Drawing, Drawn
from ama_ray.engine.requests import Generation
from ama_ray.errors import UserError
from ama_ray.probes import samples
from ama_ray.probes.answers import squad
from ama_ray.probes.base import PreparedProbe, ProbeKind
from ama_ray.verifiers.base import Verifier

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from numpy.typing import NDArray

    from ama_ray.data.prompting import Prompting
    from ama_ray.data.rows import Row
    from ama_ray.engine.replies import Reply

GREEDY = Drawing(temperature=0)


@dataclass(frozen=True)
class AnswerMatcher:
    """How replies are compared with answers.

    Attributes:
        read: It makes, of a row, its right answers in the form that `score` takes.
        score: It gives the text of a reply its score, 0-1.
        vote: It gives the text of a reply the answer in it, equal for replies that answer the same; None for a reply
            without an answer. Without it, there is no `maj`.
    """

    read: Callable[[Row], Any]
    score: Callable[[str, Any], float]
    vote: Callable[[str], Hashable | None] | None = None

    def scores(self, replies: Sequence[str], rights: Sequence[Any]) -> list[float]:
        """The scores of replies, each with the right answers to its prompt."""
        return [self.score(reply, right) for reply, right in zip(replies, rights, strict=True)]


@dataclass(frozen=True)
class GeneratedItems(PreparedProbe):
    """A probe with one request and the right answers per item.

    Attributes:
        answers: The right answers to every item, as the matcher reads them.
        matcher: How replies are compared with them; the same for all items.
        metric: What the replies to an item come to; see `ama_ray.probes.samples`.
    """

    answers: tuple[Any, ...]
    matcher: AnswerMatcher | Verifier
    metric: str = "avg"

    def findings(self) -> str:
        """What its verifier says."""
        return self.matcher.findings() if isinstance(self.matcher, Verifier) else ""

    def statistics(self, answers: Sequence[Any], base: Sequence[Any]) -> NDArray[np.float64]:
        """What the replies to every item come to, 0-1; a reply that was cut off in its thinking is wrong."""
        score, k = samples.METRICS[samples.name(self.metric)], samples.size(self.metric)
        items = zip(answers, self._scores(answers), strict=True)
        return np.array([[score(self._votes(replies), scores, k)] for replies, scores in items])

    def said(self, answers: Sequence[Any]) -> list[str]:
        """The first reply to every item, its thinking included."""
        return [replies[0].whole for replies in answers]

    def _scores(self, answers: Sequence[Sequence[Reply]]) -> list[list[float]]:
        """The scores of all replies to every item, asked for at once."""
        pairs = zip(answers, self.answers, strict=True)
        whole = [(reply.text, right) for replies, right in pairs for reply in replies if not reply.cut_off]
        scores = iter(self.matcher.scores([text for text, _ in whole], [right for _, right in whole]))
        return [[0.0 if reply.cut_off else next(scores) for reply in replies] for replies in answers]

    def _votes(self, replies: Sequence[Reply]) -> list[Hashable | None]:
        vote = self.matcher.vote
        return [None if vote is None or reply.cut_off else vote(reply.text) for reply in replies]


class GeneratedKind(ProbeKind):
    """Replies, greedy ones unless `sampling` says how to draw them."""

    max_tokens: int = Field(64, ge=1, description="most tokens of a reply, those of its thinking included")
    stop: tuple[str, ...] = Field((), description="texts that end a reply; not in its thinking")
    delimiter: str = Field(" ", description="between the prompt and the answer of a solved example")
    sampling: Drawn = Field(GREEDY, description="how replies are drawn; default: one greedy reply")

    @model_validator(mode="after")
    def _takes_so_many_replies(self) -> Self:
        if self.sampling.replies > 1 and not isinstance(self, MatchedKind):
            raise ValueError("sampling: the score is that of one reply per item; leave `n` out")
        return self

    def requests(self, rows: Sequence[Row], prompting: Prompting) -> tuple[Generation, ...]:
        """One request per row.

        Raises:
            UserError: A row lacks the prompt, or it cannot be tokenised.
        """
        seed = prompting.seed if self.sampling.seed is None else self.sampling.seed
        return tuple(
            Generation.drawn(
                prompting,
                row.text("prompt"),
                row,
                self.sampling,
                max_tokens=self.max_tokens,
                stop=self.stop,
                n=self.sampling.replies,
                # By what is asked, so that an item has the same one in every part of its split.
                seed=seed * 1_000_003 + crc32(row.text("prompt").encode()) if self.sampling.temperature > 0 else 0,
            )
            for row in rows
        )

    def solved(self, row: Row) -> str:
        """The prompt with the first of the right answers.

        Raises:
            UserError: A row lacks a field, or its answer is not what the kind takes.
        """
        return row.text("prompt") + self.delimiter + ", ".join(spans_of(row)[0])


class MatchedKind(GeneratedKind):
    """Replies, each compared with the right answers to its prompt.

    Of `n` sampled replies to an item, `avg` is the mean of their scores (avg@n), `pass@K` the chance that one of K
    replies is right, estimated without bias from all n (Chen et al., arXiv 2107.03374), and `maj` the score of the
    answer that most of them give (maj@n), those with as many being as likely to win. Standard errors are over items.
    """

    scored_by: ClassVar[str] = "mean"

    metric: Annotated[str, Field(pattern=r"^(avg|maj|pass@[1-9]\d*)$"), Called("`avg`, `maj` or `pass@K`")] = Field(
        "avg", description="what the replies to an item come to"
    )

    @property
    @abstractmethod
    def matcher(self) -> AnswerMatcher | Verifier:
        """How replies are compared with answers."""

    def build(self, name: str, rows: Sequence[Row], prompting: Prompting, context_limit: int | None) -> GeneratedItems:
        """Checks and tokenises rows.

        Raises:
            UserError: A row lacks a field, or its answer is not what the kind takes.
        """
        matcher, requests = self.matcher, self.requests(rows, prompting)
        self._check_metric(name)
        return GeneratedItems(name, requests, tuple(matcher.read(row) for row in rows), matcher, self.metric)

    def _check_metric(self, name: str) -> None:
        count, replies = samples.size(self.metric), self.sampling.replies
        if count > replies:
            raise UserError(f"{name}: {self.metric} needs {count} replies to an item, and sampling has {replies}.")
        if self.metric == "maj" and self.matcher.vote is None:
            raise UserError(f"{name}: its replies have no answers to vote by; use `metric: avg` or `pass@K`.")


def right_answers(row: Row) -> tuple[str, ...]:
    """The right answers of a row, each a text.

    Raises:
        UserError: The field is missing, empty, or holds something else.
    """
    answers = spans_of(row)
    if any(isinstance(answer, list) for answer in _listed(row)):
        raise UserError(f"{row.where}: the field 'answer' has a list of spans, which only `normalize: drop` takes.")
    return tuple(answer for (answer,) in answers)


def _listed(row: Row) -> list[Any]:
    answer = row.get("answer")
    return answer if isinstance(answer, list) else [answer]


def spans_of(row: Row) -> tuple[tuple[str, ...], ...]:
    """The right answers of a row, each one or more spans."""
    answers = [answer if isinstance(answer, list) else [answer] for answer in _listed(row)]
    if not answers or not all(spans and all(isinstance(span, str) for span in spans) for spans in answers):
        raise UserError(f"{row.where}: the field 'answer' must be a text or a list of one or more texts.")
    return tuple(tuple(spans) for spans in answers)


def normalized_answers(row: Row) -> tuple[str, ...]:
    """The right answers of a row without case, punctuation and articles.

    Raises:
        UserError: The field is missing, empty, or holds something else.
    """
    # An answer without words counts only where it is the only one, as in the official script.
    answers = tuple(squad.normalize(answer) for answer in right_answers(row))
    return tuple(answer for answer in answers if answer) or ("",)
