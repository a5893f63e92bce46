"""The page of items in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from ama_ray.report.html.render import write_html
from ama_ray.scores.item_text import ItemText
from ama_ray.storage.names import ITEMS_PAGE
from tests.support.runs import in_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

    from ama_ray.run import StoredRun

pytestmark = pytest.mark.long
HOSTILE = "</script><script>window.hacked = 1</script><img src=https://example.com/x onerror='window.hacked = 1'>"
SOURCES = {"reward": 4_000, "arc": 4_000, "squad": 4_000, "drop": 4_000, "fr-en": 4_000}
LARGEST = 24_000_000
SLOWEST = 1_000  # milliseconds
OPENED = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"


@pytest.fixture(scope="module")
def written(reported: StoredRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages of a run with 20,000 items, of which most points answer some in their own way."""
    run = in_folder(reported, tmp_path_factory.mktemp("items"))
    draw = np.random.default_rng(1)
    words = np.array(["so", "many", "words", "that", "a", "question", "or", "an", "answer", "may", "have", "in", "it"])

    def text(number: int, length: int) -> str:
        return f"{' '.join(draw.choice(words, length))} {number}"

    asked = {name: [ItemText(text(i, 40), text(i, 3)) for i in range(count)] for name, count in SOURCES.items()}
    asked["arc"][7] = ItemText(HOSTILE, HOSTILE)
    usual = {name: [text(i, 12) for i in range(count)] for name, count in SOURCES.items()}
    run.texts.write_items(asked)
    for trial in run.trials:
        if trial.report is None:
            continue
        right = {name: draw.random((count, 1)) < 0.8 - 0.3 * trial.mean_ratio for name, count in SOURCES.items()}
        scores = {name: each.astype(float) for name, each in right.items()} | {
            "reward": draw.normal(3 * trial.mean_ratio, 1, (SOURCES["reward"], 1))
        }
        scores["arc"][7] = float(not trial.mean_ratio)
        run.items.write("report", trial.number, scores)
        said = {name: list(each) for name, each in usual.items()}
        for each in said.values():
            for place in draw.integers(0, len(each), 1_000):
                each[place] = f"trial {trial.number}: {each[place]}"
        said["arc"][7] = f"trial {trial.number}: {HOSTILE}"
        run.texts.write_answers(trial.number, said)
    return write_html(run).with_name(ITEMS_PAGE)


def test_20_000_items_open_in_a_second_and_stay_within_the_size(opened: Callable[..., Page], written: Path) -> None:
    assert written.stat().st_size < LARGEST
    times = sorted(opened(written).evaluate(OPENED) for _ in range(3))
    print(f"{written.stat().st_size:,} bytes, {times} ms")
    assert times[0] < SLOWEST


def test_what_base_has_right_and_the_knee_wrong_comes_first(opened: Callable[..., Page], written: Path) -> None:
    page = opened(written)
    page.select_option("#pick-source", label="arc")
    first = page.locator("#items article").first
    assert first.get_attribute("data-item") is not None
    left, right = first.locator(".reply b").all_text_contents()
    assert left == "trial 0, base, front: 1.000"
    assert "knee" in right
    assert right.endswith(": 0.000")
    count = int(page.inner_text("#count").split(" of ")[0])
    assert 0 < count < SOURCES["arc"]
    page.click("#more")
    assert page.locator("#items article").count() == 100


def test_items_are_filtered_by_text_and_stay_text(opened: Callable[..., Page], written: Path) -> None:
    page = opened(written)
    page.select_option("#pick-source", label="arc")
    page.select_option("#pick-filter", "all")
    assert page.inner_text("#count") == "4000 of 4000 items of arc"
    page.fill("#text", "window.HACKED")
    assert page.inner_text("#count") == "1 of 4000 items of arc"
    article = page.locator("#items article")  # its inner text is empty until a frame is drawn (content-visibility)
    assert HOSTILE[:30] in (article.text_content() or "")  # of so many items, texts are cut
    assert page.evaluate("window.hacked") is None
    page.select_option("#pick-right", label="trial 10, aligned, front")
    assert "trial 10, aligned, front: 0.000" in (article.text_content() or "")
    page.fill("#text", "no item has this")
    assert page.inner_text("#count") == "0 of 4000 items of arc"


def test_points_are_sorted_and_chosen_in_the_table(opened: Callable[..., Page], written: Path) -> None:
    page = opened(written)
    page.click("#points thead button >> text=tax")
    taxes = [float(text) for text in page.locator("#points tbody tr td:nth-child(3)").all_inner_texts()]
    assert taxes == sorted(taxes, reverse=True)
    assert page.locator("#points thead th[aria-sort=descending]").count() == 1
    page.click("#points thead button >> text=tax")
    assert page.locator("#points tbody tr").first.inner_text().startswith("trial")
    row = page.locator("#points tbody tr").nth(3)
    name = row.locator("th").inner_text()
    row.click()
    assert page.locator("#pick-right option:checked").inner_text() == name
    assert row.get_attribute("aria-selected") == "true"


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_windows_in_light_and_dark(opened: Callable[..., Page], written: Path, width: int, scheme: str) -> None:
    page = opened(written, viewport={"width": width, "height": 844}, color_scheme=scheme)
    assert page.locator("#items article").count() == 50
    paper, ink = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
    assert paper != ink
