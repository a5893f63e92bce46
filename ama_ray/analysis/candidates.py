"""Which points of a search are worth scoring again: those on its front, and those that could be on it within error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ama_ray.analysis.domination import BEYOND_DOUBT, off_front
from ama_ray.pareto.hypervolume import hypervolume
from ama_ray.scores.tokens import turned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ama_ray.pareto.pareto_set import ParetoSet
    from ama_ray.scores.objectives import Items, Objectives
    from ama_ray.scores.trial import Trial


def candidates(pareto: ParetoSet, objectives: Objectives, items: Mapping[int, Items], most: int) -> list[Trial]:
    """The points to score again on the report split, besides the uniform ones, which always are.

    First come the points of the search's front; where they are more than `most`, those that together win the most
    hypervolume, chosen greedily. Then come the points that no other dominates beyond doubt, the least dominated first.
    `off_front` says what is beyond doubt.

    With constraints, a point that breaks one beyond doubt is left out, and only a point that satisfies all of them
    beyond doubt keeps another one out.

    Args:
        pareto: The search, on the search split.
        objectives: Of the run.
        items: Of every complete trial on the search split, by its number.
        most: How many at most.
    """
    if not pareto.scored:
        return []
    front = [trial for trial in pareto.front if trial.origin != "baseline"]
    if len(front) > most:
        return _widest(pareto, front, most)
    on_front = {trial.number for trial in pareto.front}
    doubtful = sorted(
        (evidence, position)
        for position, evidence in enumerate(off_front(pareto, objectives, items))
        if evidence <= BEYOND_DOUBT
    )
    others = [pareto.scored[position] for _, position in doubtful]
    could_be = [trial for trial in others if trial.origin != "baseline" and trial.number not in on_front]
    return [*front, *could_be][:most]


def _widest(pareto: ParetoSet, front: Sequence[Trial], most: int) -> list[Trial]:
    """The points of a front that win the most beside the uniform ones, each the best addition to those before it."""

    def values(trials: Sequence[Trial]) -> NDArray[np.float64]:
        rows = [[trial.objectives[name].value for name in pareto.objectives] for trial in trials]
        return turned(pareto.objectives, np.reshape(rows, (-1, len(pareto.objectives))))

    # Not the box between base and aligned, which is empty without a trade.
    known = values([*pareto.baseline, *front])
    low, high = known.min(axis=0), known.max(axis=0)
    chosen: list[Trial] = []
    left = list(front)
    while len(chosen) < most:
        before = [*pareto.uniform_front, *chosen]
        best = max(left, key=lambda trial: hypervolume(values([*before, trial]), low, high))
        chosen.append(best)
        left.remove(best)
    return chosen
