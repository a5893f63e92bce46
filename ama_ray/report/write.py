"""The files of a finished run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ama_ray.report.plot import plot_front
from ama_ray.trials_csv import write_trials

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.pareto import ParetoSet


def write_report(pareto: ParetoSet, out: Path) -> None:
    """Writes `front.csv` (the columns of `trials.csv`, the front only) and `front.png` into the run folder."""
    write_trials(out / "front.csv", pareto.front)
    plot_front(pareto, out / "front.png")
