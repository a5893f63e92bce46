"""Which split the front of a run is from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ama_ray.pareto import ParetoSet


def is_reported(pareto: ParetoSet) -> bool:
    """Whether base, aligned and the search's front were scored again, or as many points as were to be.

    Where the run file is not known, any point will do.
    """
    complete = [trial for trial in pareto.trials if trial.state == "complete"]
    ends = {trial.uniform_ratio for trial in complete if trial.origin == "baseline" and trial.report}
    if not {0.0, 1.0} <= ends:
        return False
    chosen = [trial for trial in pareto.search_split.front if trial.origin != "baseline"]
    again = [t for t in complete if t.origin not in ("baseline", "twin") and (t.report or t.reason)]
    most = pareto.config.report.points if pareto.config else 1
    return all(trial.report or trial.reason for trial in chosen) or len(again) >= most
