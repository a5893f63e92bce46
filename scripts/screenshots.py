"""Makes docs/terminal.svg and docs/report.png again, from a search of the miniature: `python -m scripts.screenshots`.

It takes minutes, and Debian's chromium. `python -m scripts.screenshots RUN` makes the page's picture alone, of that
run.
"""

from __future__ import annotations

import io
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

import ama_ray
from ama_ray.live import LiveView
from ama_ray.live.watched import Watched
from ama_ray.miniature import ROOT
from ama_ray.report.html.render import write_html
from ama_ray.run import StoredRun

if TYPE_CHECKING:
    from ama_ray.tuning.events import Event

CHROMIUM = "/usr/bin/chromium"
DOCS = Path(__file__).parents[1] / "docs"
MOMENT = 24
"""Trials after which the picture of the terminal is taken: there is a front, and something is left to do."""
COLUMNS = 104


def shoot(page: Path, picture: Path, *, width: int = 1280, height: int = 1180, dark: bool = False) -> None:
    """Takes a picture of the upper part of a page.

    Args:
        page: The HTML file.
        picture: The PNG file to write.
        width: Of the window, in pixels.
        height: Of the window; 0 for the whole page.
        dark: Whether the reader prefers dark colours.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        size = {"width": width, "height": height or 900}
        tab = browser.new_page(viewport=size, color_scheme="dark" if dark else "light")  # type: ignore[arg-type]
        tab.goto(page.as_uri())
        tab.screenshot(path=picture, full_page=not height)
        browser.close()


class Photographer:
    """Listens to a search as the terminal does, and takes one picture of it."""

    def __init__(self, picture: Path) -> None:
        """Writes to an SVG file."""
        self._picture = picture
        self._watched = Watched()
        self._view = LiveView(_terminal(), self._watched)

    def hear(self, event: Event) -> None:
        """Takes in an event, and the picture at the moment."""
        self._view.hear(event)
        if self._watched.searched == MOMENT and len(self._watched.running) > 1 and not self._picture.exists():
            # Another terminal than that of the view, which also has what was said before, in lines longer than it.
            terminal = _terminal()
            terminal.print(self._view.render())
            # Without rich's own font, which would be asked for over the network.
            form = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
            terminal.save_svg(str(self._picture), title="ama-ray search ama_ray/miniature/run.yaml", code_format=form)


def _terminal() -> Console:
    return Console(record=True, file=io.StringIO(), force_terminal=True, width=COLUMNS, height=40)


def search(folder: Path) -> None:
    """Searches the miniature into a new folder, photographed."""
    picture = DOCS / "terminal.svg"
    picture.unlink(missing_ok=True)
    ama_ray.search(ROOT / "run.yaml", out=folder, resume="never", listen=Photographer(picture).hear)


if __name__ == "__main__":
    run = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.gettempdir()) / "miniature"
    if len(sys.argv) == 1:
        search(run)
    with tempfile.TemporaryDirectory() as scratch:
        shoot(write_html(StoredRun.open(run), Path(scratch) / "report.html"), DOCS / "report.png")
