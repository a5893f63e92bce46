"""The files of a finished run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ama_ray.report.plot import plot_front
from ama_ray.trials_csv import write_trials

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ama_ray.pareto import ParetoSet


def write_report(pareto: ParetoSet, out: Path, timing: Mapping[str, float]) -> None:
    """Writes the results of a run beside its `trials.csv`.

    `front.csv` has the columns of `trials.csv`, the front only; `front.png` is the picture; `summary.json` holds the
    normalised hypervolumes and where the time went.

    Args:
        pareto: The result.
        out: The run folder.
        timing: Seconds by stage, and the share of orchestration.
    """
    write_trials(out / "front.csv", pareto.front)
    plot_front(pareto, out / "front.png")
    summary: dict[str, Any] = {
        "trials": len(pareto.trials),
        "failed": sum(trial.state == "failed" for trial in pareto.trials),
        "hypervolume": pareto.hypervolume,
        "uniform_hypervolume": pareto.uniform_hypervolume,
        "timing": dict(timing),
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
