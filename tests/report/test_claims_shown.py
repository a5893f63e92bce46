"""A run whose items are known: every claim has its interval, points of the front their probability and their group."""

from __future__ import annotations

import json
import re
import warnings
from io import StringIO
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from matplotlib.figure import Figure
from rich.console import Console

from ama_ray.analysis.claims import Claims
from ama_ray.analysis.trade_test import TradeTest
from ama_ray.export.point import found
from ama_ray.report.html.page import page
from ama_ray.report.json_fields import front_fields
from ama_ray.report.plots.panel import Panel
from ama_ray.report.text.front_table import front_table
from ama_ray.report.text.summary import sentence
from ama_ray.report.write import write_report
from ama_ray.scores.interval import Interval
from ama_ray.storage.item_store import ItemStore
from ama_ray.storage.records import read_trials
from tests.support.made_up_search import LARGE, LINE, OBJECTIVES, search
from tests.support.runs import in_folder, run_of

if TYPE_CHECKING:
    from ama_ray.run import StoredRun

BRACKET = r" \[-?[\d.]+%?, -?[\d.]+%?\]"


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> StoredRun:
    """A search with two points that are nearly the same, with its report."""
    trials, items = search([*LINE, (0.92, 0.062)], 3, LARGE)
    run = run_of(trials, tmp_path_factory.mktemp("known"), objectives=OBJECTIVES)
    store = ItemStore(run.folder / "items")
    for number, each in items.items():
        store.write("search", number, each)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_report(run, {"wall": 90.0, "slots": 2})
    return run


def test_claims_are_made_once_and_from_items(known: StoredRun) -> None:
    assert known.claims is known.searched_claims
    assert known.claims.hypervolume.value == pytest.approx(known.pareto.hypervolume)
    assert run_of(known.trials).claims == Claims()


def test_paired_items_decide_whether_there_is_a_trade(known: StoredRun) -> None:
    base, aligned = known.items.read("search", 0), known.items.read("search", 1)
    gain = TradeTest.of(OBJECTIVES, base, aligned).intervals["reward"]
    unpaired = Interval.normal(known.pareto.aligned.objectives["reward"])
    assert gain.high - gain.low < unpaired.high - unpaired.low
    same = dict(base) | {"facts": aligned["facts"], "text": aligned["text"]}
    ItemStore(known.folder / "items").write("search", 1, same)
    try:
        unclear = in_folder(known, known.folder).pareto_of(known.trials, "search")
        assert unclear.no_trade.startswith("the aligned model does not raise the reward (aligned minus base 0,")
    finally:
        ItemStore(known.folder / "items").write("search", 1, aligned)


def test_the_sentence_has_an_interval_behind_every_claim(known: StoredRun) -> None:
    told = sentence(known)
    knee = known.pareto.pick("knee")
    number = r"-?\d+%"
    assert re.match(rf"The knee \(trial {knee.number}\) keeps {number}{BRACKET} of the reward that alignment won", told)
    assert re.search(rf"at {number}{BRACKET} of its tax", told)
    assert re.search(rf"{number}{BRACKET} less than the knee", told)
    for name in ("front", "uniform", "difference"):
        assert re.search(rf"{name} -?\d\.\d+{BRACKET}", told)
    assert "they allow for the choice of the points" in told
    others = known.claims.alike(knee.number)
    assert ("cannot be told from it" in told) == bool(others)


def test_the_table_has_probabilities_and_letters(known: StoredRun) -> None:
    out = StringIO()
    Console(file=out, width=80, color_system=None).print(front_table(known))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    for trial in known.pareto.front:
        (row,) = [line for line in lines if line.split()[:1] == [str(trial.number)]]
        assert f"{known.claims.on_front[trial.number]:.0%}" in row
    (group,) = [members for members in known.claims.groups if len(members) > 1]
    marked = [line for line in lines if re.search(r"% a ", line)]
    assert [int(line.split()[0]) for line in marked] == list(group)


def test_files_have_them_too(known: StoredRun) -> None:
    frame = pd.read_csv(known.folder / "front.csv")
    assert frame["front.probability"].tolist() == pytest.approx(
        [known.claims.on_front[trial.number] for trial in known.pareto.front]
    )
    letters = dict(zip(frame["number"], frame["front.group"].fillna(""), strict=True))
    assert {number for number, letter in letters.items() if letter} == {
        number for members in known.claims.groups if len(members) > 1 for number in members
    }
    assert [trial.number for trial in read_trials(known.folder / "front.csv")] == frame["number"].tolist()
    summary = json.loads((known.folder / "summary.json").read_text())
    claims = summary["claims"]
    assert claims["hypervolume"]["low"] < summary["hypervolume"] < claims["hypervolume"]["high"]
    assert claims["groups"] == [list(members) for members in known.claims.groups]
    assert claims["optimism"] == {"value": None, "low": None, "high": None}
    points = front_fields(known)["points"]
    assert points[0]["probability"] == known.claims.on_front[points[0]["number"]]
    (point,) = [each for each in page(known, []).points if each.number == points[0]["number"]]
    assert point.seen["search"].probability == points[0]["probability"]
    html = (known.folder / "report.html").read_text()
    assert "<strong>7</strong> trials in the search" in html
    assert f"<strong>{known.claims.hypervolume.value:.3f} [" in html


def test_the_picture_has_a_band_behind_every_group_of_several(known: StoredRun) -> None:
    axes = Figure().add_subplot()
    Panel(axes, known.pareto, "tax", "reward", known.claims.groups).draw()
    bands = [line for line in axes.get_lines() if line.get_linewidth() > 10]
    assert [len(band.get_xdata()) for band in bands] == [len(m) for m in known.claims.groups if len(m) > 1]  # type: ignore[arg-type]


def test_a_model_card_says_what_the_knee_keeps_and_what_is_known_of_others(known: StoredRun) -> None:
    knee = known.pareto.pick("knee")
    of_knee = found(known, knee)
    assert any(note.startswith(f"The knee (trial {knee.number}) keeps ") for note in of_knee.notes)
    reward = of_knee.scores[0].objectives["reward"]
    interval = OBJECTIVES.intervals(known.items.read("search", knee.number))["reward"]
    assert (reward.low, reward.high) == pytest.approx((interval.low, interval.high))
    other = found(known, known.pareto.aligned)
    assert any(re.match(r"Trial 1 is on the front in \d+% of the resamples", note) for note in other.notes)
