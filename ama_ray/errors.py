"""The one error a user is meant to read, and other errors made readable."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

T = TypeVar("T")
_ADDRESS = "For further information visit"
"""How pydantic ends each of its messages."""
_INPUT = re.compile(r" \[type=\w+, input_value=.*")
"""What pydantic puts behind a sentence: all of the input, in Python's notation."""


class UserError(Exception):
    """Bad input: one clear sentence that names the file, field or tensor, and the remedy.

    Of a file with several mistakes it has a line for each. The command line prints it without a traceback and exits
    with code 2.
    """

    @classmethod
    def of(cls, source: str, mistakes: Sequence[str]) -> UserError:
        """What is wrong with one source: a sentence, or one for each mistake, on a line of its own.

        Args:
            source: A file, or whatever else holds the mistakes.
            mistakes: At least one sentence, which may lack its full stop.
        """
        ended = [each if each.endswith(("?", ".")) else f"{each}." for each in mistakes]
        if len(ended) == 1:
            return cls(f"{source}: {ended[0]}")
        return cls("\n  ".join([f"{source}: there are {len(ended)} mistakes.", *ended]))


def all_of(steps: Iterable[Callable[[], T]]) -> list[T]:
    """What every step returns.

    Raises:
        UserError: Steps failed: a line for each, so that a user need not come back for the next.
    """
    found, failed = [], []
    for step in steps:
        try:
            found.append(step())
        except UserError as error:
            failed.append(error)
    if len(failed) > 1:
        raise UserError("\n  ".join([f"there are {len(failed)} mistakes.", *map(str, failed)])) from failed[0]
    if failed:
        raise failed[0]
    return found


def one_line(error: BaseException) -> str:
    """An exception as one line: its type and the last line of its message, looking through Ray's wrapping."""
    cause = getattr(error, "cause", None) or error
    return ": ".join(filter(None, (type(cause).__name__, last_line(str(cause)))))


def last_line(text: str) -> str:
    """The last line of a message that says what is wrong; empty where there is none."""
    lines = [line.strip() for line in text.splitlines()]
    said = [line for line in lines if line and not line.startswith(_ADDRESS)]
    return _INPUT.sub("", said[-1]) if said else ""


def nearest(word: str, names: Iterable[str], likeness: float = 0.6) -> str:
    """The name that is most like a word; empty where none is like it.

    Args:
        word: What was given.
        names: What there is.
        likeness: How alike the two must be at least (0-1), by `difflib`.
    """
    lower = {name.lower(): name for name in names}
    near = difflib.get_close_matches(word.lower(), lower, 1, likeness)
    return lower[near[0]] if near else ""


def did_you_mean(word: str, names: Iterable[str], likeness: float = 0.6) -> str:
    """The end of a sentence about a name that there is not: `; did you mean X?`, or nothing; see `nearest`."""
    near = nearest(word, names, likeness)
    return f"; did you mean {near}?" if near else ""
