"""Probes that generate greedily and score each reply against the right answers: `exact`, `f1` and `number`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ama_ray.config.probes import F1, Bleu, Chrf, Exact, Number
from ama_ray.engine.requests import Generation
from ama_ray.errors import UserError
from ama_ray.probes.answers import drop, squad
from ama_ray.probes.answers.number import number
from ama_ray.probes.base import PreparedProbe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from ama_ray.data.prompting import Prompting
    from ama_ray.data.rows import Row


@dataclass(frozen=True)
class AnswerMatcher:
    """How replies are compared with answers.

    Attributes:
        read: From a row to its right answers, in the form that `score` takes.
        score: Of a reply, 0-1.
    """

    read: Callable[[Row], Any]
    score: Callable[[str, Any], float]


@dataclass(frozen=True)
class GeneratedItems(PreparedProbe):
    """A probe with a greedy request and a comparison per item.

    Attributes:
        answers: The right ones of every item, as the comparison reads them.
        comparison: The same for all items.
    """

    answers: tuple[Any, ...]
    comparison: AnswerMatcher

    @classmethod
    def build(cls, name: str, kind: Exact | F1 | Number, rows: Sequence[Row], prompting: Prompting) -> GeneratedItems:
        """Checks and tokenises rows.

        Raises:
            UserError: A row lacks a field, or its answer is not what the kind takes.
        """
        comparison = _comparison(kind)
        requests = greedy(kind, rows, prompting)
        return cls(name, requests, tuple(comparison.read(row) for row in rows), comparison)

    def statistics(self, answers: Sequence[Any], base: Sequence[Any]) -> NDArray[np.float64]:
        """The score of the one reply to every item, 0-1."""
        score = self.comparison.score
        return np.array([[score(reply, right)] for (reply,), right in zip(answers, self.answers, strict=True)])


def greedy(
    kind: Exact | F1 | Number | Bleu | Chrf, rows: Sequence[Row], prompting: Prompting
) -> tuple[Generation, ...]:
    """One greedy request per row.

    Raises:
        UserError: A row lacks the prompt, or it cannot be tokenised.
    """
    return tuple(
        Generation(prompting.tokens(row.text("prompt"), row), max_tokens=kind.max_tokens, stop=kind.stop)
        for row in rows
    )


def solved(kind: Exact | F1 | Number | Bleu | Chrf, row: Row) -> str:
    """A row as a solved example, with the first of its right answers.

    Raises:
        UserError: A row lacks a field, or its answer is not what the kind takes.
    """
    return row.text("prompt") + kind.delimiter + ", ".join(_spans(row)[0])


def right_answers(row: Row) -> tuple[str, ...]:
    """The right answers of a row, each a text.

    Raises:
        UserError: The field is missing, empty, or holds something else.
    """
    answers = _spans(row)
    if any(isinstance(answer, list) for answer in _listed(row)):
        raise UserError(f"{row.where}: the field 'answer' has a list of spans, which only `normalize: drop` takes.")
    return tuple(answer for (answer,) in answers)


def _listed(row: Row) -> list[Any]:
    answer = row.get("answer")
    return answer if isinstance(answer, list) else [answer]


def _spans(row: Row) -> tuple[tuple[str, ...], ...]:
    """The right answers of a row, each one or more spans."""
    answers = [answer if isinstance(answer, list) else [answer] for answer in _listed(row)]
    if not answers or not all(spans and all(isinstance(span, str) for span in spans) for spans in answers):
        raise UserError(f"{row.where}: the field 'answer' must be a text or a list of one or more texts.")
    return tuple(tuple(spans) for spans in answers)


def _comparison(kind: Exact | F1 | Number) -> AnswerMatcher:
    match kind:
        case Number():
            return AnswerMatcher(_numbers, _same_number)
        case Exact(normalize="strip"):
            return AnswerMatcher(_stripped, _same_text)
        case Exact():
            return AnswerMatcher(_normalized, _same_normalized)
        case F1(normalize="squad"):
            return AnswerMatcher(_normalized, _squad_f1)
        case F1():
            return AnswerMatcher(_bags, _drop_f1)


def _stripped(row: Row) -> tuple[str, ...]:
    return tuple(answer.strip() for answer in right_answers(row))


def _same_text(reply: str, answers: tuple[str, ...]) -> float:
    return float(reply.strip() in answers)


def _normalized(row: Row) -> tuple[str, ...]:
    # An answer without words counts only where it is the only one, as in the official script.
    answers = tuple(squad.normalize(answer) for answer in right_answers(row))
    return tuple(answer for answer in answers if answer) or ("",)


def _same_normalized(reply: str, answers: tuple[str, ...]) -> float:
    return float(squad.normalize(reply) in answers)


def _squad_f1(reply: str, answers: tuple[str, ...]) -> float:
    normalized = squad.normalize(reply)
    return max(squad.f1(normalized, answer) for answer in answers)


def _bags(row: Row) -> tuple[tuple[drop.Bag, ...], ...]:
    # An answer that begins with an empty span is skipped, as in lm-evaluation-harness.
    answers = tuple(spans for spans in _spans(row) if spans[0].strip())
    if not answers:
        raise UserError(f"{row.where}: the field 'answer' has no words; give it some text.")
    return tuple(tuple(map(drop.bag, spans)) for spans in answers)


def _drop_f1(reply: str, answers: tuple[tuple[drop.Bag, ...], ...]) -> float:
    words = drop.bag(reply)
    return max(drop.f1(words, answer) for answer in answers)


def _numbers(row: Row) -> tuple[Any, ...]:
    numbers = tuple(number(answer) for answer in right_answers(row))
    if None in numbers:
        raise UserError(f"{row.where}: the field 'answer' has no number; give it one, or use `kind: exact`.")
    return numbers


def _same_number(reply: str, answers: tuple[Any, ...]) -> float:
    return float(number(reply) in answers)
