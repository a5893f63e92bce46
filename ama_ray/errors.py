"""The one error a user is meant to read, and other errors made readable."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

T = TypeVar("T")


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
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return ": ".join([type(cause).__name__, *lines[-1:]])


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
