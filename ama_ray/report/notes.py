"""What table, sentence and picture say beside their numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ama_ray.pareto.pareto_set import ParetoSet
    from ama_ray.run import StoredRun


def used_test_data(run: StoredRun) -> str:
    """A sentence where the search saw items of a test split, which `allow_test_split` allows; else empty."""
    if not run.test_data:
        return ""
    return f"The search used test data (allow_test_split): scores on {', '.join(run.test_data)} are no test results."


def split_note(pareto: ParetoSet) -> str:
    """Which split the numbers are from, and what that means."""
    if pareto.split == "report":
        return "All numbers are from the report split, whose items the search never saw."
    return "All numbers are from the search split, by which the points were chosen, so they are somewhat too good."


def conditions(pareto: ParetoSet) -> str:
    """What the run file asked of the front, and from where hypervolume counts; empty where it asked for nothing."""
    told = []
    if pareto.constraints:
        tried = sum(trial.origin != "twin" for trial in pareto.scored)
        told.append(f"Front: trials with {pareto.constraints}; {len(pareto.left_out)} of {tried} left out.")
    if pareto.worst:
        start = ", ".join(f"{name} {value:g}" for name, value in pareto.worst.items())
        told.append(f"Hypervolume counts from {start} on.")
    return " ".join(told)


def volumes(run: StoredRun) -> str:
    """The hypervolumes; with those of both splits, also how much the search had fooled itself."""
    told = (
        f"Hypervolume (1 is the box between base and aligned): front {run.pareto.hypervolume:.3f}, "
        f"uniform {run.pareto.uniform_hypervolume:.3f}"
    )
    if math.isnan(run.optimism):
        return f"{told}."
    return (
        f"{told}; on the search split {run.searched_pareto.hypervolume:.3f}. The search had fooled itself by "
        f"{run.optimism:z.3f} (hypervolume of the points of its front, search minus report split)."
    )
