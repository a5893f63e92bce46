"""What a stranger wrote into a run is shown on a terminal, and not obeyed by it."""

from __future__ import annotations

import io

from rich.table import Table

from ama_ray.report.text.terminal import PlainConsole, harmless

HOSTILE = "\x1b]52;c;aGk=\x07[/x]\u202e"


def test_control_characters_and_markup_are_shown() -> None:
    table = Table(title=HOSTILE, caption=HOSTILE)
    table.add_column(HOSTILE)
    table.add_row(HOSTILE)
    out = io.StringIO()
    console = PlainConsole(file=out, width=200, force_terminal=True, color_system=None)
    console.print(table)
    console.print(HOSTILE)
    shown = out.getvalue()
    assert shown.count("[/x]") == 5
    assert not [code for code in ("\x1b]", "\x07", "\u202e") if code in shown]
    assert shown.count(r"\x1b]52") == 5


def test_lines_and_tabs_stay() -> None:
    assert harmless("ünï\tco\nde \x9b\r") == "ünï\tco\nde \\x9b\\x0d"
