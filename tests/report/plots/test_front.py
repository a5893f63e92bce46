from __future__ import annotations

import math
import struct
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ama_ray.pareto.pareto_set import ParetoSet
from ama_ray.report import plot_front
from tests.support.trials import with_objectives

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.scores.trial import Trial


def size(path: Path) -> tuple[int, int]:
    head = path.read_bytes()[:24]
    assert head.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def test_it_writes_a_png(run: ParetoSet, tmp_path: Path) -> None:
    path = tmp_path / "front.png"
    plot_front(run, path)
    assert size(path) == (1200, 840)
    assert 20_000 < path.stat().st_size < 500_000


def test_it_leaves_pyplot_alone() -> None:
    code = (
        "import sys, io; from ama_ray.pareto.pareto_set import ParetoSet; from ama_ray.report import plot_front\n"
        "assert 'matplotlib' not in sys.modules\n"
        "plot_front(ParetoSet([]), io.BytesIO())\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def degenerate(run: ParetoSet) -> dict[str, list[Trial]]:
    return {
        "empty": [],
        "one": [run.base],
        "no tax": [with_objectives(t, errors=(0.1, 0.0), tax=0.0) for t in run.trials],
        "no baseline": [t for t in run.trials if t.origin != "baseline"],
        "no errors known": [with_objectives(t, errors=(math.nan, math.nan)) for t in run.trials],
        "outlier": [*run.trials, replace(with_objectives(run.trials[-2], reward=-50.0, tax=0.9), number=99)],
    }


@pytest.mark.parametrize("case", ["empty", "one", "no tax", "no baseline", "no errors known", "outlier"])
@pytest.mark.filterwarnings("error")
def test_it_draws_unusual_runs(run: ParetoSet, case: str, tmp_path: Path) -> None:
    plot_front(ParetoSet(degenerate(run)[case]), tmp_path / "front.png")
    assert size(tmp_path / "front.png") == (1200, 840)


@pytest.mark.filterwarnings("error")
def test_it_shows_where_the_search_saw_the_front(reported: ParetoSet, tmp_path: Path) -> None:
    plot_front(reported, tmp_path / "front.png")
    assert size(tmp_path / "front.png") == (1200, 840)
    plot_front(reported.search_split, tmp_path / "search.png")
    assert (tmp_path / "front.png").read_bytes() != (tmp_path / "search.png").read_bytes()


@pytest.mark.filterwarnings("error")
def test_several_rewards_are_a_matrix_of_panels(several: ParetoSet, tmp_path: Path) -> None:
    plot_front(several, tmp_path / "front.png")
    width, height = size(tmp_path / "front.png")
    assert width == height == 555 * (len(several.objectives) - 1)


@pytest.mark.filterwarnings("error")
def test_it_draws_runs_with_constraints(
    run: ParetoSet, bounded: ParetoSet, unsatisfied: ParetoSet, tmp_path: Path
) -> None:
    drawn = set()
    for pareto in (run, bounded, unsatisfied):
        plot_front(pareto, tmp_path / "front.png")
        assert size(tmp_path / "front.png") == (1200, 840)
        drawn.add((tmp_path / "front.png").read_bytes())
    assert len(drawn) == 3
