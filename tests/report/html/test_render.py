"""The page in a real browser. It needs Debian's chromium, and no engine."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ama_ray.checkpoints.pair import Pair
from ama_ray.cli import main
from ama_ray.config import BASELINE_RATIOS
from ama_ray.report.html.render import write_html
from ama_ray.scores.trial import KeptReply, Trial
from testing.checkpoints import make_pair
from tests.support.runs import in_folder, run_of, write_run
from tests.support.trials import scores

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

    from ama_ray.run import StoredRun

HOSTILE = "</script><script>window.hacked = 1</script><img src=https://example.com/x onerror='window.hacked = 1'>"
LARGEST = 3_000_000
SLOWEST_PAINT = 1_000  # milliseconds
FIRST_PAINT = """new Promise((resolve) => new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (entry.name === 'first-contentful-paint') resolve(entry.startTime);
}).observe({ type: 'paint', buffered: true }))"""

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def written(long_run: StoredRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of 200 trials, with replies that are hostile or long."""
    run = in_folder(long_run, tmp_path_factory.mktemp("long"))
    for trial in run.pareto.scored:
        texts = (HOSTILE, f"I am trial {trial.number}.", "long " * 400, "")
        run.replies.write(trial.number, [KeptReply(f"prompt {i}", text) for i, text in enumerate(texts)])
    return write_html(run)


def test_a_click_on_a_point_shows_all_of_it(opened: Callable[..., Page], written: Path, long_run: StoredRun) -> None:
    page = opened(written)
    assert page.inner_text("#point-name").startswith(f"Knee, trial {long_run.pareto.pick('knee').number}")
    point = long_run.pareto.front[2]
    page.click(f"#front [data-trial='{point.number}'] circle.mark")
    assert page.inner_text("#point-name") == f"Trial {point.number}, on the front"
    assert page.inner_text("#command").endswith(f" --point {point.number} -o merged")
    low, high = point.reward - 1.96 * point.reward_se, point.reward + 1.96 * point.reward_se
    assert f"{point.reward:.2f} ({low:.2f} to {high:.2f})" in page.inner_text("#point-body table")
    assert page.locator("#profile rect.block").count() == 8
    assert page.locator("#probes circle").count() == 4
    assert f"arc {point.probes['arc'].tax:.3f}" in str(page.get_attribute("#probes svg", "aria-label"))
    replies = page.locator("#replies .replies").nth(1).locator(".reply")
    assert [text.split("\n")[-1] for text in replies.all_inner_texts()] == [
        "I am trial 0.",
        "I am trial 10.",
        f"I am trial {point.number}.",
    ]
    assert HOSTILE in page.locator("#replies .reply").nth(0).inner_text()
    assert page.evaluate("window.hacked") is None


def test_what_else_is_on_the_page(opened: Callable[..., Page], written: Path) -> None:
    page = opened(written)
    assert page.locator("#importance rect.block").count() == 2 * 8
    assert "R² of trials left out" in page.inner_text("#importance")
    assert page.locator("#volume path").count() >= 2
    assert "Search optimism" in page.inner_text(".warning >> nth=0")
    page.click("text=search split (200)")
    assert "search split (200)" in page.inner_text("#front-tools [aria-pressed=true]")
    assert page.locator("#front [data-trial]").count() == page.locator("#families path:not(.bold)").count() == 200


def test_it_is_usable_by_keyboard(opened: Callable[..., Page], written: Path, long_run: StoredRun) -> None:
    page = opened(written)
    number = long_run.pareto.front[1].number
    page.focus(f"#front [data-trial='{number}']")
    assert f"trial {number}" in str(page.get_attribute("#front :focus", "aria-label"))
    page.keyboard.press("Enter")
    assert f"trial {number}" in page.inner_text("#point-name").lower()
    page.select_option("#point-tools select", "0")
    assert page.inner_text("#point-name").startswith("Trial 0, base")


def test_it_is_small_and_soon_there(opened: Callable[..., Page], written: Path) -> None:
    assert written.stat().st_size < LARGEST
    page, paints = opened(written), []
    for _ in range(3):  # the machine may be busy with something else
        page.reload()
        paints.append(page.evaluate(FIRST_PAINT))
    print(f"{written.stat().st_size / 1e3:.0f} kB, first contentful paint after {min(paints):.0f} ms")
    assert min(paints) < SLOWEST_PAINT


def test_dark_and_on_a_phone(opened: Callable[..., Page], written: Path, long_run: StoredRun) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    light, dark = (opened(written, color_scheme=scheme) for scheme in ("light", "dark"))
    assert light.evaluate(background) == "rgb(255, 255, 255)"
    assert dark.evaluate(background) == "rgb(20, 23, 27)"
    phone = opened(written, viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True)
    number = long_run.pareto.base.number
    phone.tap(f"#front [data-trial='{number}'] rect.mark", force=True)  # another point may lie over it
    assert f"trial {number}" in phone.inner_text("#point-name").lower()


@pytest.mark.parametrize("case", ["empty", "before its report", "no trade", "unsatisfied", "bounded"])
def test_unusual_runs(
    opened: Callable[..., Page], request: pytest.FixtureRequest, run: StoredRun, case: str, tmp_path: Path
) -> None:
    cases = {
        "empty": run.with_trials([]),
        "before its report": run,
        "no trade": run.with_trials([trial for trial in run.trials if trial.uniform_ratio != 1.0]),
        "unsatisfied": request.getfixturevalue("unsatisfied"),
        "bounded": request.getfixturevalue("bounded"),
    }
    page = opened(write_html(in_folder(cases[case], tmp_path)))
    assert page.inner_text("h2 >> nth=0") == "The front"


def test_several_rewards_choose_their_axes(opened: Callable[..., Page], several: StoredRun, tmp_path: Path) -> None:
    page = opened(write_html(in_folder(several, tmp_path)))
    page.select_option("#front-tools select >> nth=0", label="harmless")
    assert "harmless" in str(page.text_content("#front svg"))
    assert page.locator("#importance h3").count() == len(several.pareto.objectives)


def test_the_command_on_the_page_exports_the_point(
    opened: Callable[..., Page], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, aligned = make_pair(tmp_path)
    groups = ["embed", *(f"layer-{i}" for i in range(4)), "head"]
    ratios = [np.full(6, ratio) for ratio in BASELINE_RATIOS] + [np.array([0, 0.2, 0.4, 0.6, 0.8, 0.5])]
    values = [(4 * r.mean(), 0.5 * r.mean() ** 2 - 0.05 * r.std()) for r in ratios]
    trials = [
        Trial(n, "complete", "baseline" if n < 11 else "sampler", dict(zip(groups, r.tolist(), strict=True)), scores(v))
        for n, (r, v) in enumerate(zip(ratios, values, strict=True))
    ]
    made = run_of(trials, tmp_path / "a run's folder", base=str(base), aligned=str(aligned))
    run = write_run(made, {"base and aligned": Pair.open(str(base), str(aligned)).checksum})

    def command(line: list[str]) -> None:
        monkeypatch.setattr(sys, "argv", line)
        with pytest.raises(SystemExit) as ended:
            main.app()
        assert not ended.value.code

    command(["ama-ray", "report", str(run)])
    page = opened(run / "report.html")
    page.click("#front [data-trial='11'] circle.mark")
    monkeypatch.chdir(tmp_path)
    command(shlex.split(page.inner_text("#command")))
    assert (tmp_path / "merged" / "config.json").is_file()
    assert list((tmp_path / "merged").glob("*.safetensors"))
