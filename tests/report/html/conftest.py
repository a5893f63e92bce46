"""Pages in a real browser. It needs Debian's chromium."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
FLAGS += " --disable-component-update --disable-sync"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM:
        pytest.skip("there is no chromium: apt-get install chromium")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield started
        started.close()


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a page from disk without a network; afterwards there were no requests, no errors, no words on the console.

    A page that is too wide for its window fails, too.
    """
    seen: list[str] = []
    files: set[str] = set()
    pages: list[Page] = []

    def request(route: Any) -> None:
        if route.request.url in files:
            route.continue_()
        else:
            seen.append(f"request of {route.request.url}")
            route.abort()

    def open_(path: Path, **settings: Any) -> Page:
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | settings))
        context.set_offline(True)
        files.add(path.as_uri())
        page = context.new_page()
        page.route("**/*", request)
        page.on("console", lambda message: seen.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: seen.append(f"error: {error}"))
        page.goto(path.as_uri())
        pages.append(page)
        return page

    yield open_
    for page in pages:
        width, room = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        page.context.close()
        assert width <= room
    assert seen == []
