"""Editing, history and completion of what is typed in a conversation."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@contextmanager
def completion(commands: Sequence[str], names: Sequence[str]) -> Iterator[None]:
    """A context in which Tab completes commands, and after one the names of points; nothing without readline.

    Args:
        commands: Each with a slash.
        names: Of points.
    """
    try:
        import readline
    except ImportError:
        yield
        return

    def complete(text: str, state: int) -> str | None:
        return dict(enumerate(candidates(readline.get_line_buffer(), text, commands, names))).get(state)

    before = readline.get_completer(), readline.get_completer_delims()
    readline.set_completer(complete)
    readline.set_completer_delims(" ")  # names have hyphens and dots in them
    readline.parse_and_bind("tab: complete")
    try:
        yield
    finally:
        readline.set_completer(before[0])
        readline.set_completer_delims(before[1])


def candidates(line: str, word: str, commands: Sequence[str], names: Sequence[str]) -> list[str]:
    """What a word that was begun may become.

    Args:
        line: So far.
        word: The last of it.
        commands: That may begin a line.
        names: That may follow one.
    """
    if not line.startswith("/"):
        return []
    among = names if " " in line else commands
    return [each for each in among if each.startswith(word)]
