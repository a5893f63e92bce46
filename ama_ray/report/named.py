"""The trials that table, sentence and picture call by name, and how they write numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ama_ray.config import RunConfig
    from ama_ray.pareto import ParetoSet
    from ama_ray.trial import Trial

PLUS_MINUS = "± is one standard error."


def knee(pareto: ParetoSet) -> Trial | None:
    """The knee of the front, or None where there is no front or nothing to trade."""
    return None if pareto.no_trade or not pareto.front else pareto.pick("knee")


def best_uniform(pareto: ParetoSet, point: Trial | None = None) -> Trial | None:
    """The uniform point with the highest reward at no more tax than a point; None where there is no such point.

    With several reward objectives, the one with the largest `ParetoSet.gain`.

    Args:
        pareto: The run.
        point: A trial with scores on the split of the run; default: the knee, without which there is none.
    """
    point = point or knee(pareto)
    if point is None or pareto.no_trade:
        return None
    affordable = [trial for trial in pareto.uniform_front if trial.tax <= point.tax]
    return max(affordable, key=pareto.gain, default=None)


def named(pareto: ParetoSet) -> dict[str, Trial]:
    """The trials with a name, by name: knee, base, aligned, best uniform; without those the run lacks."""
    found = {"knee": knee(pareto), "base": None, "aligned": None, "best uniform": best_uniform(pareto)}
    for trial in pareto.uniform:
        if trial.uniform_ratio in (0.0, 1.0):
            found["aligned" if trial.uniform_ratio else "base"] = trial
    return {name: trial for name, trial in found.items() if trial is not None}


def used_test_data(pareto: ParetoSet) -> str:
    """A sentence where the search saw items of a test split, which `allow_test_split` allows; else empty."""
    if pareto.config is None or not pareto.config.allow_test_split:
        return ""
    from ama_ray.inputs import on_test_split

    names = on_test_split(pareto.config)
    if not names:
        return ""
    return f"The search used test data (allow_test_split): scores on {', '.join(names)} are no test results."


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
    if pareto.config and pareto.config.reference:
        start = ", ".join(f"{name} {value:g}" for name, value in pareto.config.reference.items())
        told.append(f"Hypervolume counts from {start} on.")
    return " ".join(told)


def volumes(pareto: ParetoSet) -> str:
    """The hypervolumes; with those of both splits, also how much the search had fooled itself."""
    told = (
        f"Hypervolume (1 is the box between base and aligned): front {pareto.hypervolume:.3f}, "
        f"uniform {pareto.uniform_hypervolume:.3f}"
    )
    if math.isnan(pareto.optimism):
        return f"{told}."
    return (
        f"{told}; on the search split {pareto.search_split.hypervolume:.3f}. The search had fooled itself by "
        f"{pareto.optimism:z.3f} (hypervolume of the points of its front, search minus report split)."
    )


def decimals(values: Iterable[float]) -> int:
    """How many decimals show about a thousandth of the range of the values."""
    finite = [value for value in values if math.isfinite(value)]
    spread = max(finite, default=0.0) - min(finite, default=0.0)
    return 3 if spread == 0 else min(6, max(0, 2 - math.floor(math.log10(spread))))


def plus_minus(value: float, error: float, places: int) -> str:
    """An estimate with its standard error, where that is known."""
    text = f"{value:z.{places}f}"
    return text if math.isnan(error) else f"{text} ± {error:.{places}f}"


def replies_per_prompt(config: RunConfig) -> str:
    """How many replies each prompt got, on both splits."""
    return f"{config.reward[0].sampling.n}, on the report split {config.report.samples} times"
