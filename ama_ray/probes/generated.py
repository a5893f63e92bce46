"""Kinds of probes that generate greedily, and those of them that score each reply by itself."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from ama_ray.engine.requests import Generation
from ama_ray.errors import UserError
from ama_ray.probes.answers import squad
from ama_ray.probes.base import PreparedProbe, ProbeKind
from ama_ray.verifiers.base import Verifier

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from ama_ray.data.prompting import Prompting
    from ama_ray.data.rows import Row


@dataclass(frozen=True)
class AnswerMatcher:
    """How replies are compared with answers.

    Attributes:
        read: It makes, of a row, its right answers in the form that `score` takes.
        score: It gives a reply its score, 0-1.
    """

    read: Callable[[Row], Any]
    score: Callable[[str, Any], float]

    def scores(self, replies: Sequence[str], rights: Sequence[Any]) -> list[float]:
        """The scores of replies, each with the right answers to its prompt."""
        return [self.score(reply, right) for reply, right in zip(replies, rights, strict=True)]


@dataclass(frozen=True)
class GeneratedItems(PreparedProbe):
    """A probe with a greedy request and the right answers per item.

    Attributes:
        answers: The right answers to every item, as the matcher reads them.
        matcher: How replies are compared with them; the same for all items.
    """

    answers: tuple[Any, ...]
    matcher: AnswerMatcher | Verifier

    def findings(self) -> str:
        """What its verifier says."""
        return self.matcher.findings() if isinstance(self.matcher, Verifier) else ""

    def statistics(self, answers: Sequence[Any], base: Sequence[Any]) -> NDArray[np.float64]:
        """The score of the one reply to every item, 0-1."""
        return np.array(self.matcher.scores([reply for (reply,) in answers], self.answers))[:, None]


class GeneratedKind(ProbeKind):
    """Greedy replies."""

    max_tokens: int = Field(64, ge=1, description="most tokens of a reply")
    stop: tuple[str, ...] = Field((), description="texts that end a reply")
    delimiter: str = Field(" ", description="between the prompt and the answer of a solved example")

    def greedy(self, rows: Sequence[Row], prompting: Prompting) -> tuple[Generation, ...]:
        """One greedy request per row.

        Raises:
            UserError: A row lacks the prompt, or it cannot be tokenised.
        """
        return tuple(
            Generation(prompting.tokens(row.text("prompt"), row), max_tokens=self.max_tokens, stop=self.stop)
            for row in rows
        )

    def solved(self, row: Row) -> str:
        """The prompt with the first of the right answers.

        Raises:
            UserError: A row lacks a field, or its answer is not what the kind takes.
        """
        return row.text("prompt") + self.delimiter + ", ".join(spans_of(row)[0])


class MatchedKind(GeneratedKind):
    """Greedy replies, each compared with the right answers to its prompt."""

    scored_by: ClassVar[str] = "mean"

    @property
    @abstractmethod
    def matcher(self) -> AnswerMatcher | Verifier:
        """How replies are compared with answers."""

    def build(self, name: str, rows: Sequence[Row], prompting: Prompting, context_limit: int | None) -> GeneratedItems:
        """Checks and tokenises rows.

        Raises:
            UserError: A row lacks a field, or its answer is not what the kind takes.
        """
        matcher, requests = self.matcher, self.greedy(rows, prompting)
        return GeneratedItems(name, requests, tuple(matcher.read(row) for row in rows), matcher)


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
