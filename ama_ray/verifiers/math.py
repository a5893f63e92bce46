"""`MathVerifier`: answers that are mathematically equal, as math-verify says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ama_ray.errors import UserError
from ama_ray.processes.worker import CallError, Function, LateError, call
from ama_ray.verifiers.base import Verifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.data.rows import Row

_EQUAL = Function("ama_ray.verifiers.math_calls:equal")
_MARKED = re.compile(r"####[ \t]*([^\n]+)\s*\Z")
_BOXED = re.compile(r"\\boxed\{((?:[^{}]|\{[^{}]*\})*)\}")
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_FIELDS = ("answer", "solution")
"""Where benchmarks have the right answer: GSM8K, AIME and MATH in the one, MATH in the other."""


@dataclass(frozen=True)
class MathVerifier(Verifier):
    """Holds the last answer in a reply against the right ones; any of them will do.

    Attributes:
        timeout: Seconds for one reply; one that takes longer is wrong, and its process is ended.
    """

    timeout: float

    def read(self, row: Row) -> tuple[str, ...]:
        """The right answers of a row: plain, LaTeX, or a solution that ends with one.

        Raises:
            UserError: There is none, or math-verify cannot read it.
        """
        field = next((field for field in _FIELDS if field in row.fields), _FIELDS[0])
        found = row.get(field)
        answers = tuple(_right(answer) for answer in (found if isinstance(found, list) else [found]))
        if not answers or not all(_is_readable(answer, self.timeout) for answer in answers):
            raise UserError(
                f"{row.where}: the field {field!r} has no answer that math-verify can read; give a number, an "
                "expression or LaTeX, or use `kind: exact`."
            )
        return answers

    def scores(self, replies: Sequence[str], rights: Sequence[Any]) -> list[float]:
        """See `Verifier`."""
        return [
            float(any(self._is_right(right, _answer(reply)) for right in of_row))
            for reply, of_row in zip(replies, rights, strict=True)
        ]

    def vote(self, reply: str) -> str | None:
        """The last answer in a box, or else the last number, as it is written."""
        text = _answer(reply)
        found = _BOXED.findall(text) or [number.replace(",", "") for number in _NUMBER.findall(text)]
        return found[-1].strip() if found else None

    def _is_right(self, right: str, reply: str) -> bool:
        if reply.strip() == right.strip("$"):
            return True  # also where both readers, of answers and of replies, make something else of it
        try:
            return bool(call(_EQUAL, right, reply, timeout=self.timeout)[0])
        except CallError:
            return False  # neither sympy nor we can make anything of it


def _answer(reply: str) -> str:
    """Of a reply that ends as solutions of GSM8K do, what comes after `####`; of others, all."""
    marked = _MARKED.search(reply)
    return marked[1] if marked else reply


def _right(answer: Any) -> str:
    """A right answer as math-verify takes it: what comes after `####`, with the mathematics marked as such."""
    text = str(answer).rpartition("####")[2].strip()
    return text if "$" in text or "\\boxed" in text or not text else f"${text}$"


@lru_cache(100_000)
def _is_readable(answer: str, timeout: float) -> bool:
    try:
        return bool(call(_EQUAL, answer, None, timeout=timeout)[0])
    except LateError:
        return False
