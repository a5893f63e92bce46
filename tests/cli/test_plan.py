"""What `plan` and `show` say of a run by the items of its base and aligned."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ama_ray.analysis.trade_test import TradeTest
from tests.support.runs import OBJECTIVES, run_of, write_run
from tests.support.trials import five_trials

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Command

ITEMS = 60


def items(gain: float, lost: int) -> dict[str, Any]:
    """Of aligned, where base has everything right."""
    prompts = np.linspace(-1, 1, 40)
    right = np.arange(ITEMS) >= lost
    return {"reward": (prompts + gain * (1 + 0.3 * np.cos(9 * prompts)))[:, None], "arc": right.astype(float)[:, None]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


def make(folder: Path, gain: float, lost: int, split: str = "search", **fields: Any) -> TradeTest:
    trials = [replace(trial, report=trial.search) if split == "report" else trial for trial in five_trials()]
    run = run_of(trials[:2] if split == "search" else trials, folder, **fields)
    run.tokens.update(reward=100, arc=20)
    base, aligned = items(0, 0), items(gain, lost)
    for number, each in enumerate((base, aligned)):
        run.items.write("search", number, each)
        if split == "report":
            run.items.write("report", number, each)
    write_run(run)
    return TradeTest.of(OBJECTIVES, base, aligned)


def rows(out: str, name: str) -> list[list[str]]:
    return [line.split() for line in out.splitlines() if line.startswith(f" {name} ")]


def test_plan_prints_json(run: Command, folder: Path) -> None:
    test = make(folder, gain=2.0, lost=2)
    shown = json.loads(run("plan", folder, "--json").out)
    assert list(shown) == ["search"]
    tax = shown["search"]["parts"]["tax"]
    assert (tax["value"], tax["low"], tax["high"]) == pytest.approx(tuple(vars(test.tax.interval).values()))
    assert tax["items_for_0.01"] == test.tax.precision.items_for(0.01)
    assert shown["search"]["clear"] == test.clear


def test_plan_prints_what_was_seen_and_what_it_takes(run: Command, folder: Path) -> None:
    test = make(folder, gain=2.0, lost=2)
    ended = run("plan", folder)
    assert ended.code == 0
    seen, *asked = rows(ended.out, "tax")
    low, high = test.tax.interval.low, test.tax.interval.high
    assert seen == [
        "tax",
        str(ITEMS),
        "0.033",
        f"{low:.3f}",
        "to",
        f"{high:.3f}",
        "unclear",
        f"{test.tax.precision.smallest:.2g}",
    ]
    assert [row[1] for row in asked] == ["0.033,", "0.010", "0.020", "0.050"]
    needed = test.tax.precision.items_for(0.02)
    assert needed is not None
    count, tokens = (float(asked[2][place].replace(",", "")) for place in (2, 4))
    # Rounded up.
    assert needed["arc"] <= count < needed["arc"] * 1.1
    assert count * 20 * 0.9 <= tokens <= count * 20 * 1.1
    assert [row[2:4] for row in rows(ended.out, "reward")[1:]][1] == ["1%", "of"]
    assert "the tax of aligned is not beyond error (0.033, 95% interval" in " ".join(ended.out.split())
    assert "what aligned won of the reward" not in ended.out


def test_plan_says_where_all_is_clear_and_shows_both_splits(run: Command, folder: Path) -> None:
    make(folder, gain=2.0, lost=20, split="report")
    out = run("plan", folder).out
    assert out.count("Base and aligned differ beyond error") == 2
    assert "What the items of the search split show" in out
    assert "What the items of the report split show" in out
    assert rows(out, "arc")[0][-2] == "clear"


def test_plan_wants_both_models(run: Command, folder: Path) -> None:
    write_run(run_of(five_trials()[:1], folder))
    ended = run("plan", folder)
    assert ended.code == 2
    assert "base and aligned are not both scored" in ended.err


def test_show_tells_of_a_search_that_ended_for_it_and_how_to_go_on(run: Command, folder: Path) -> None:
    make(folder, gain=2.0, lost=0)
    out = " ".join(run("show", folder).out.split())
    assert "The search ended after 2 trials: the tax of aligned is not beyond error (0.000, 95% interval -0.0" in out
    assert f"or set `unclear_trade: go-on` to search all the same; `ama-ray plan {folder}` has the numbers." in out
    assert "knee keeps" not in out
    make(folder, gain=2.0, lost=0, unclear_trade="go-on")
    assert "The search ended" not in run("show", folder).out


def test_show_does_not_ask_for_more_items_where_they_would_not_help(run: Command, folder: Path) -> None:
    make(folder, gain=-2.0, lost=30)
    out = " ".join(run("show", folder).out.split())
    assert "aligned lowers the reward (-" in out
    assert "which more prompts would not change; set `unclear_trade: go-on` to search all the same." in out


def test_report_works_and_says_so(run: Command, folder: Path) -> None:
    make(folder, gain=2.0, lost=0)
    assert run("report", folder).code == 0
    assert "The search ended after 2 trials" in (folder / "report.html").read_text(encoding="utf-8")
    assert json.loads((folder / "objectives.json").read_text())["tokens"] == {"reward": 100, "arc": 20}
