"""The files of a finished run."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from ama_ray.report.named import used_test_data
from ama_ray.report.plot import plot_front
from ama_ray.trials_csv import write_trials

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ama_ray.pareto import ParetoSet


def write_report(pareto: ParetoSet, out: Path, timing: Mapping[str, float]) -> None:
    """Writes the results of a run beside its `trials.csv`.

    `front.csv` has the columns of `trials.csv`, the front only; `front.png` is the picture; `summary.json` holds the
    normalised hypervolumes of the split that the front is from and of the search split, how much the search had fooled
    itself (`ParetoSet.optimism`), which share of the search's items was evaluated (the rest was saved by stopping
    trials), and where the time went. What is not known is null.

    Args:
        pareto: The result.
        out: The run folder.
        timing: Seconds by stage, and the share of orchestration.
    """
    write_trials(out / "front.csv", pareto.front)
    plot_front(pareto, out / "front.png")
    warning = used_test_data(pareto)
    searched = [trial for trial in pareto.trials if trial.search is not None]
    summary: dict[str, Any] = {
        **({"warning": warning} if warning else {}),
        "split": pareto.split,
        "trials": len(pareto.trials),
        "stopped": sum(trial.state == "stopped" for trial in pareto.trials),
        "evaluated": sum(trial.share for trial in searched) / len(searched) if searched else None,
        "failed": sum(trial.state == "failed" for trial in pareto.trials),
        "hypervolume": _or_null(pareto.hypervolume),
        "uniform_hypervolume": _or_null(pareto.uniform_hypervolume),
        "search_hypervolume": _or_null(pareto.search_split.hypervolume),
        "search_uniform_hypervolume": _or_null(pareto.search_split.uniform_hypervolume),
        "optimism": _or_null(pareto.optimism),
        "timing": dict(timing),
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


def _or_null(value: float) -> float | None:
    # JSON has no NaN.
    return None if math.isnan(value) else value
