"""Makes docs/report.png again: `python docs/screenshots.py RUN`, a run folder; wants Debian's chromium."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from ama_ray.pareto import ParetoSet
from ama_ray.report.html import write_html

CHROMIUM = "/usr/bin/chromium"


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


if __name__ == "__main__":
    run = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as scratch:
        shoot(write_html(ParetoSet.open(run), run, Path(scratch) / "report.html"), Path(__file__).parent / "report.png")
