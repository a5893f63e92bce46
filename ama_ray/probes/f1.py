"""`kind: f1`: the words that a reply and a right answer share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ama_ray.config.probes import FileProbe, Prompted
from ama_ray.errors import UserError
from ama_ray.probes.answers import drop, squad
from ama_ray.probes.generated import AnswerMatcher, MatchedKind, normalized_answers, spans_of

if TYPE_CHECKING:
    from ama_ray.data.rows import Row


class F1(MatchedKind):
    """Words shared by a reply and the best fitting answer, as F1. Rows as for `exact`.

    `squad` and `drop` normalise and compare as the scripts of those two benchmarks do. In the list of right answers
    of `drop`, an answer of several spans is a list of its own.
    """

    kind: Literal["f1"] = "f1"
    normalize: Literal["squad", "drop"] = Field("squad", description="whose rules")

    @property
    def matcher(self) -> AnswerMatcher:
        """How replies are compared with answers."""
        if self.normalize == "squad":
            return AnswerMatcher(normalized_answers, _squad_f1)
        return AnswerMatcher(_bags, _drop_f1)


class F1Probe(F1, Prompted, FileProbe):
    """An `f1` probe on a file."""


def _squad_f1(reply: str, answers: tuple[str, ...]) -> float:
    normalized = squad.normalize(reply)
    return max(squad.f1(normalized, answer) for answer in answers)


def _bags(row: Row) -> tuple[tuple[drop.Bag, ...], ...]:
    # An answer that begins with an empty span is skipped, as in lm-evaluation-harness.
    answers = tuple(spans for spans in spans_of(row) if spans[0].strip())
    if not answers:
        raise UserError(f"{row.where}: the field 'answer' has no words; give it some text.")
    return tuple(tuple(map(drop.bag, spans)) for spans in answers)


def _drop_f1(reply: str, answers: tuple[tuple[drop.Bag, ...], ...]) -> float:
    words = drop.bag(reply)
    return max(drop.f1(words, answer) for answer in answers)
