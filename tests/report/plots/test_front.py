from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ama_ray.report.plots.front import plot_front
from tests.support.pictures import UNUSUAL, size, unusual

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.run import StoredRun

pytestmark = pytest.mark.long  # a picture takes a third of a second; the unit tests draw each once, in a report


def test_it_writes_a_png(run: StoredRun, tmp_path: Path) -> None:
    path = tmp_path / "front.png"
    plot_front(run, path)
    assert size(path) == (1200, 840)
    assert 20_000 < path.stat().st_size < 500_000


def test_it_leaves_pyplot_alone() -> None:
    code = (
        "import sys, io; from tests.support.runs import run_of; from ama_ray.report.plots.front import plot_front\n"
        "assert 'matplotlib' not in sys.modules\n"
        "plot_front(run_of([]), io.BytesIO())\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("case", UNUSUAL)
@pytest.mark.filterwarnings("error")
def test_it_draws_unusual_runs(run: StoredRun, case: str, tmp_path: Path) -> None:
    plot_front(unusual(run, case, tmp_path), tmp_path / "front.png")
    assert size(tmp_path / "front.png") == (1200, 840)


@pytest.mark.filterwarnings("error")
def test_it_shows_where_the_search_saw_the_front(reported: StoredRun, tmp_path: Path) -> None:
    plot_front(reported, tmp_path / "front.png")
    assert size(tmp_path / "front.png") == (1200, 840)
    plot_front(reported.with_trials([replace(t, report=None) for t in reported.trials]), tmp_path / "search.png")
    assert (tmp_path / "front.png").read_bytes() != (tmp_path / "search.png").read_bytes()


@pytest.mark.filterwarnings("error")
def test_several_rewards_are_a_matrix_of_panels(several: StoredRun, tmp_path: Path) -> None:
    plot_front(several, tmp_path / "front.png")
    width, height = size(tmp_path / "front.png")
    assert width == height == 555 * (len(several.pareto.objectives) - 1)


@pytest.mark.filterwarnings("error")
def test_it_draws_runs_with_constraints(
    run: StoredRun, bounded: StoredRun, unsatisfied: StoredRun, tmp_path: Path
) -> None:
    drawn = set()
    for each in (run, bounded, unsatisfied):
        plot_front(each, tmp_path / "front.png")
        assert size(tmp_path / "front.png") == (1200, 840)
        drawn.add((tmp_path / "front.png").read_bytes())
    assert len(drawn) == 3
