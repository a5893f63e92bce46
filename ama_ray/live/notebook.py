"""`NotebookView`: a search below a cell of a notebook, drawn again in place with every event."""

from __future__ import annotations

import io
from importlib import import_module
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console

from ama_ray.live.view import LiveView, is_kept
from ama_ray.live.watched import Watched
from ama_ray.report.text.terminal import PlainConsole, harmless
from ama_ray.tuning.events import StageStarted, StopRequested

if TYPE_CHECKING:
    from ama_ray.tuning.events import Event

_WIDTH = 100


def in_notebook() -> bool:
    """Whether this is a cell of Jupyter, Colab or Databricks."""
    return Console().is_jupyter


class NotebookView:
    """Shows a search while it is entered, and leaves nothing behind but what was said besides the trials."""

    def __init__(self, watched: Watched | None = None) -> None:
        """Shows below the cell that runs."""
        self._watched = watched or Watched()
        self._view = LiveView(Console(file=io.StringIO(), width=_WIDTH), self._watched)
        self._said: list[str] = []
        self._is_running = True
        self._shown: Any = None

    def __enter__(self) -> Self:
        self._watched.hear(StageStarted("loading the program"))
        # Every notebook has it, and nothing else here needs it.
        self._shown = import_module("IPython.display").display(self, display_id=True)
        return self

    def __exit__(self, *error: object) -> None:
        self._is_running = False
        self._shown.update(self)

    def hear(self, event: Event) -> None:
        """Takes in an event, and draws again."""
        self._watched.hear(event)
        if is_kept(event):
            self._said.append(harmless(event.line))
        if not isinstance(event, StopRequested):  # which comes from a signal's handler
            self._shown.update(self)

    def _repr_html_(self) -> str:
        """What was said, and the view as it is now."""
        console = PlainConsole(record=True, file=io.StringIO(), width=_WIDTH, force_jupyter=False)
        for line in self._said:
            console.print(line, highlight=False)
        if self._is_running:
            console.print(self._view.render())
        return console.export_html(inline_styles=True, code_format='<pre style="line-height: 1.2">{code}</pre>')
