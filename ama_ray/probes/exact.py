"""`kind: exact`: a reply equals a right answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ama_ray.config.probes import FileProbe, Prompted
from ama_ray.probes.answers import squad
from ama_ray.probes.generated import AnswerMatcher, MatchedKind, normalized_answers, right_answers

if TYPE_CHECKING:
    from ama_ray.data.rows import Row


class Exact(MatchedKind):
    """A reply equal to an answer. Rows: `prompt`, `answer` (a string, or a list of right ones).

    `strip` compares without surrounding white space; `squad` also without case, punctuation and articles.
    """

    kind: Literal["exact"] = "exact"
    normalize: Literal["strip", "squad"] = Field("strip", description="what is left out of the comparison")

    @property
    def matcher(self) -> AnswerMatcher:
        """How replies are compared with answers."""
        if self.normalize == "strip":
            return AnswerMatcher(_stripped, _same_text, str.strip)
        return AnswerMatcher(normalized_answers, _same_normalized, squad.normalize)


class ExactProbe(Exact, Prompted, FileProbe):
    """An `exact` probe on a file."""


def _stripped(row: Row) -> tuple[str, ...]:
    return tuple(answer.strip() for answer in right_answers(row))


def _same_text(reply: str, answers: tuple[str, ...]) -> float:
    return float(reply.strip() in answers)


def _same_normalized(reply: str, answers: tuple[str, ...]) -> float:
    return float(squad.normalize(reply) in answers)
