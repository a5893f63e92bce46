"""A run on whose report front a uniform point stays that another one beats by a little: table, page and picture."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from typing import TYPE_CHECKING

import numpy as np
import pytest
from matplotlib.figure import Figure
from rich.console import Console

from ama_ray.report.html.page import page
from ama_ray.report.plots.panel import Panel
from ama_ray.report.text.front_table import front_table
from tests.support.made_up_search import LARGE, LINE, OBJECTIVES, search
from tests.support.runs import run_of

if TYPE_CHECKING:
    from ama_ray.config import Split
    from ama_ray.run import StoredRun


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> StoredRun:
    """Trial 6 is uniform and a little worse than trial 3 in both."""
    trials, items = search([*LINE, (0.88, 0.063)], 3, LARGE)
    uniform = replace(trials[6], origin="baseline", ratios={"a": 0.5, "b": 0.5})
    made = [replace(trial, report=trial.search) for trial in [*trials[:6], uniform]]
    run = run_of(made, tmp_path_factory.mktemp("undecided"), objectives=OBJECTIVES)
    splits: tuple[Split, ...] = ("search", "report")
    for split in splits:
        for number, each in items.items():
            run.items.write(split, number, each)
    return run


def test_it_is_on_the_front_of_the_report_alone(run: StoredRun) -> None:
    front, unbeaten = ([t.number for t in each] for each in (run.pareto.front, run.pareto.unbeaten))
    assert run.pareto.split == "report"
    assert [*unbeaten, 6] != front
    assert sorted([*unbeaten, 6]) == sorted(front)
    assert [t.number for t in run.searched_pareto.front] == unbeaten
    assert 0 < run.claims.on_front[6] < 1


def test_the_table_says_why_it_is_there(run: StoredRun) -> None:
    def text(shown: StoredRun) -> str:
        out = StringIO()
        Console(file=out, width=80, color_system=None).print(front_table(shown))
        return " ".join(out.getvalue().split())

    assert "Uniform points that none beats beyond doubt" in text(run)
    assert "beyond doubt" not in text(run.with_trials([replace(trial, report=None) for trial in run.trials]))


def test_the_stairs_leave_it_out(run: StoredRun) -> None:
    (shown,) = [point for point in page(run, run.convergence()).points if point.number == 6]
    assert (shown.seen["report"].front, shown.seen["report"].unbeaten) == (True, False)
    assert (shown.seen["search"].front, shown.seen["search"].unbeaten) == (False, False)
    axes = Figure().add_subplot()
    Panel(axes, run.pareto, "tax", "reward").draw()
    (stairs,) = [line for line in axes.get_lines() if line.get_drawstyle() == "steps-post"]
    assert np.asarray(stairs.get_xdata()).tolist() == [trial.tax for trial in run.pareto.unbeaten]
