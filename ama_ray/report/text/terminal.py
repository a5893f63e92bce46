"""Text of others on a terminal: names, replies and reasons may hold whatever a stranger wrote into a run's files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    from rich.text import Text

_CONTROLS = [*range(0x20), *range(0x7F, 0xA0)]
_DIRECTIONS = [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_SHOWN = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in (*_CONTROLS, *_DIRECTIONS)}
del _SHOWN[ord("\n")], _SHOWN[ord("\t")]


def harmless(text: str) -> str:
    """A text in which control characters, and characters that turn the direction of writing, are shown, not obeyed.

    An escape sequence can write to the clipboard, move the cursor or hide what stands before it.
    """
    return text.translate(_SHOWN)


class PlainConsole(Console):
    """A console that takes texts as they are: without markup, and with `harmless` characters only."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Every string that is printed, in cells of tables as well, comes by here."""
        return super().render_str(harmless(text), **(options | {"markup": False, "emoji": False}))
