"""`kind: number`: the last number of a reply is that of a right answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from ama_ray.config.probes import FileProbe, Prompted
from ama_ray.errors import UserError
from ama_ray.probes.answers.number import number
from ama_ray.probes.generated import AnswerMatcher, MatchedKind, right_answers

if TYPE_CHECKING:
    from ama_ray.data.rows import Row


class Number(MatchedKind):
    """The last number of a reply equals that of an answer, as in GSM8K. Rows as for `exact`.

    In a text with `####`, the first number after it counts.
    """

    kind: Literal["number"] = "number"

    @property
    def matcher(self) -> AnswerMatcher:
        """How replies are compared with answers."""
        return AnswerMatcher(_numbers, _same_number, number)


class NumberProbe(Number, Prompted, FileProbe):
    """A `number` probe on a file."""


def _numbers(row: Row) -> tuple[Any, ...]:
    numbers = tuple(number(answer) for answer in right_answers(row))
    if None in numbers:
        raise UserError(f"{row.where}: the field 'answer' has no number; give it one, or use `kind: exact`.")
    return numbers


def _same_number(reply: str, answers: tuple[Any, ...]) -> float:
    return float(number(reply) in answers)
