"""What table, sentence and picture say beside their numbers."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from ama_ray.report.formatting import BRACKETS, with_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.pareto.pareto_set import ParetoSet
    from ama_ray.run import StoredRun
    from ama_ray.scores.trial import Trial


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


def cut_off_note(pareto: ParetoSet) -> str:
    """How many replies ended in their thinking, of base, aligned and the point with the most; empty where none did."""
    names = list(dict.fromkeys(name for trial in pareto.scored for name in trial.replies))
    told = []
    for name in names:
        known = [trial for trial in pareto.scored if name in trial.replies]
        most = max(known, key=lambda trial: trial.replies[name].cut_off)
        if most.replies[name].cut_off > 0:
            ends = [f"{end} {t.replies[name].cut_off:.0%}" for end, t in pareto.trade.ends.items() if name in t.replies]
            told.append(f"{name} {', '.join([*ends, f'at most {most.replies[name].cut_off:.0%}'])}")
    return f"Cut off in thinking, and so without an answer: {'; '.join(told)}." * bool(told)


def volumes(run: StoredRun) -> str:
    """The hypervolumes; with those of both splits, also how much the search had fooled itself."""
    difference = replace(run.claims.difference, value=run.pareto.hypervolume - run.pareto.uniform_hypervolume)
    told = (
        f"Hypervolume (1 is the box between base and aligned): front {front_volume(run)}, "
        f"uniform {uniform_volume(run)}, difference {with_interval(difference, 'z.3f')}"
    )
    if math.isnan(run.optimism.value):
        return f"{told}."
    searched = replace(run.searched_claims.hypervolume, value=run.searched_pareto.hypervolume)
    return (
        f"{told}; on the search split {with_interval(searched, 'z.3f')}. The search had fooled itself by "
        f"{with_interval(run.optimism, 'z.3f')} (hypervolume of the points of its front, search minus report split)."
    )


def front_volume(run: StoredRun) -> str:
    """The hypervolume of the front, with its interval where items are known."""
    return with_interval(replace(run.claims.hypervolume, value=run.pareto.hypervolume), "z.3f")


def uniform_volume(run: StoredRun) -> str:
    """That of the uniform front."""
    return with_interval(replace(run.claims.uniform, value=run.pareto.uniform_hypervolume), "z.3f")


def brackets(run: StoredRun) -> str:
    """What the brackets of `volumes` and of shares mean; empty where there are none."""
    return "" if math.isnan(run.claims.hypervolume.low) else BRACKETS


def place(run: StoredRun, trial: Trial) -> str:
    """How likely a trial is on the front, and which points of the front cannot be told from it; empty if not known."""
    probability = run.claims.on_front.get(trial.number, math.nan)
    if math.isnan(probability):
        return ""
    told = f"Trial {trial.number} is on the front in {probability:.0%} of the resamples of the items"
    others = run.claims.alike(trial.number)
    return f"{told}; of the front, {numbered(others)} cannot be told from it." if others else f"{told}."


def numbered(trials: Sequence[int]) -> str:
    """Trials by their numbers, as in `trials 3, 7 and 9`."""
    *first, last = map(str, trials)
    return f"trials {', '.join(first)} and {last}" if first else f"trial {last}"
