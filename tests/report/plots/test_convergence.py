from __future__ import annotations

import csv
import json
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ama_ray.analysis.convergence import Step, hypervolume_trace
from ama_ray.pareto.pareto_set import ParetoSet
from ama_ray.report.plots.convergence import plot_convergence
from ama_ray.report.write import write_report
from ama_ray.scores.trial import Estimate, Trial
from ama_ray.storage.item_store import ItemStore
from tests.support.pictures import UNUSUAL, size, unusual
from tests.support.runs import OBJECTIVES, run_of

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.run import StoredRun

pytestmark = pytest.mark.long  # a picture takes a third of a second; the unit tests draw each once, in a report


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "convergence.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_gets_its_picture_and_its_numbers(reported: StoredRun, report_folder: Path) -> None:
    assert size(report_folder / "convergence.png") == (1200, 630)
    table = rows(report_folder)
    assert [int(row["trials"]) for row in table] == list(range(1, len(reported.trials) + 1))
    for count in (11, 30, len(reported.trials)):
        expected = ParetoSet(reported.trials[:count], split="search").hypervolume
        assert float(table[count - 1]["hypervolume"]) == expected
    assert table[0]["hypervolume"] == table[-1]["held_out"] == ""
    assert json.loads((report_folder / "summary.json").read_text())["search_hypervolume_held_out"] is None


@pytest.mark.filterwarnings("error")
def test_with_the_items_of_a_run_its_error_is_known(tmp_path: Path) -> None:
    run = run_of(items_on_disk(tmp_path), tmp_path)
    write_report(run, {})
    last, summary = rows(tmp_path)[-1], json.loads((tmp_path / "summary.json").read_text())
    middle, error = summary["search_hypervolume_held_out"], summary["search_hypervolume_held_out_se"]
    assert float(last["held_out"]) == middle
    assert float(last["held_out_low"]) == pytest.approx(middle - 1.96 * error)
    assert float(last["held_out_high"]) == pytest.approx(middle + 1.96 * error)
    assert 0 < error < 0.2
    assert abs(middle - summary["search_hypervolume"]) < error
    before = (tmp_path / "convergence.png").read_bytes()
    plot_convergence(hypervolume_trace(run.pareto, run.searched), run, tmp_path / "bare.png")
    assert (tmp_path / "bare.png").read_bytes() != before


def items_on_disk(folder: Path) -> list[Trial]:
    """Base, aligned and two trials, with their items."""
    draw = np.random.default_rng(0)
    mood, luck = draw.normal(size=(80, 1)), draw.random((80, 1))
    store = ItemStore(folder / "items")
    truths = [(0.0, 0.9, 0.0), (3.0, 0.4, 1.0), (1.5, 0.8, 0.5), (2.0, 0.85, 0.3)]
    made = [{"reward": r + mood, "arc": (luck < right).astype(float)} for r, right, _ in truths]
    for number, each in enumerate(made):
        store.write("search", number, each)
    return [
        Trial(n, "complete", "baseline" if n < 3 else "sampler", {"a": ratio, "b": ratio + (n > 2)}, score)
        for n, ((_, _, ratio), score) in enumerate(
            zip(truths, (OBJECTIVES.scores(m, made[0] if n else None) for n, m in enumerate(made)), strict=True)
        )
    ]


@pytest.mark.parametrize("case", UNUSUAL)
@pytest.mark.filterwarnings("error")
def test_it_draws_unusual_runs(run: StoredRun, case: str, tmp_path: Path) -> None:
    odd = unusual(run, case, tmp_path)
    plot_convergence(odd.convergence(), odd, tmp_path / "convergence.png")
    assert size(tmp_path / "convergence.png") == (1200, 630)


@pytest.mark.filterwarnings("error")
def test_a_search_that_won_nothing_and_errors_that_are_not_known(run: StoredRun, tmp_path: Path) -> None:
    baseline = run.with_trials(run.trials[:11])
    steps = baseline.convergence()
    plot_convergence(steps, baseline, tmp_path / "baseline.png")
    assert size(tmp_path / "baseline.png") == (1200, 630)
    half = [Step(s.trials, s.hypervolume, Estimate(s.hypervolume, 0.01 if s.trials < 9 else math.nan)) for s in steps]
    plot_convergence(half, baseline, tmp_path / "half.png")
    assert (tmp_path / "half.png").read_bytes() != (tmp_path / "baseline.png").read_bytes()
