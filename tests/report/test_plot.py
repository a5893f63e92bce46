from __future__ import annotations

import struct
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ama_ray.pareto import ParetoSet
from ama_ray.report import plot_front

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.trial import Trial


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
        "import sys, io; from ama_ray.pareto import ParetoSet; from ama_ray.report import plot_front\n"
        "assert 'matplotlib' not in sys.modules\n"
        "plot_front(ParetoSet([]), io.BytesIO())\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def degenerate(run: ParetoSet) -> dict[str, list[Trial]]:
    return {
        "empty": [],
        "one": [run.base],
        "no tax": [replace(t, tax=0.0, tax_se=0.0) for t in run.trials],
        "no baseline": [t for t in run.trials if t.origin != "baseline"],
        "no errors known": [replace(t, reward_se=float("nan"), tax_se=float("nan")) for t in run.trials],
        "outlier": [*run.trials, replace(run.trials[-2], number=99, reward=-50.0, tax=0.9)],
    }


@pytest.mark.parametrize("case", ["empty", "one", "no tax", "no baseline", "no errors known", "outlier"])
@pytest.mark.filterwarnings("error")
def test_it_draws_unusual_runs(run: ParetoSet, case: str, tmp_path: Path) -> None:
    plot_front(ParetoSet(degenerate(run)[case]), tmp_path / "front.png")
    assert size(tmp_path / "front.png") == (1200, 840)
