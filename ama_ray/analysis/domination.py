"""How surely a point is not on the front: another one is better in every objective, by items that both answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ama_ray.analysis.paired import paired_errors
from ama_ray.scores.tokens import minimised

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ama_ray.pareto.pareto_set import ParetoSet
    from ama_ray.scores.objectives import Items, Objectives
    from ama_ray.scores.trial import Trial

BEYOND_DOUBT = 1.645
"""Standard errors that a difference must exceed; of a normal distribution, 5% lie beyond on this side."""


def undecided(pareto: ParetoSet, objectives: Objectives, items: Mapping[int, Items]) -> frozenset[int]:
    """The numbers of the baseline points that no other one beats beyond doubt, constraints included.

    Args:
        pareto: The run on one split.
        objectives: Of the run.
        items: Of every trial among `pareto.scored` on that split, by its number.
    """
    if not pareto.baseline:
        return frozenset()
    sure = off_front(pareto, objectives, items)
    numbers = {t.number for t, each in zip(pareto.scored, sure, strict=True) if each <= BEYOND_DOUBT}
    return frozenset(trial.number for trial in pareto.baseline if trial.number in numbers)


def off_front(pareto: ParetoSet, objectives: Objectives, items: Mapping[int, Items]) -> NDArray[np.float64]:
    """How surely each scored trial is not on the front.

    It is as sure as that it breaks a constraint, or that another one, no twin, dominates it and satisfies the
    constraints. A trial dominates another beyond doubt where it is better in every objective by more than
    `BEYOND_DOUBT` standard errors of the difference, paired item by item: a test of all objectives is as sure as that
    of the one in which the difference is the least sure (Berger 1982, Multiparameter hypothesis testing and acceptance
    sampling: the intersection-union test).

    Args:
        pareto: The run on one split.
        objectives: Of the run.
        items: Of every trial among `pareto.scored` on that split, by its number.

    Returns:
        In standard errors, shape (trials,).
    """
    doubt = np.array([pareto.constraints.doubt(trial.scores) for trial in pareto.scored if trial.scores])
    surely = np.minimum(_domination(pareto.scored, objectives, items), -doubt)
    surely[:, [trial.origin == "twin" for trial in pareto.scored]] = -np.inf
    return np.asarray(np.maximum(surely.max(axis=1, initial=-np.inf), doubt))


def _domination(trials: Sequence[Trial], objectives: Objectives, items: Mapping[int, Items]) -> NDArray[np.float64]:
    """How surely each trial is dominated by each other one, in the objective where that is the least sure.

    Returns:
        In standard errors of the paired difference, shape (trials, trials); below 0 where the other is not better in
        all.
    """
    evidence = np.full((len(trials), len(trials)), np.inf)
    errors = paired_errors(objectives, [items[trial.number] for trial in trials])
    for name in objectives.names:
        values = np.array([trial.objectives[name].value for trial in trials])
        better = (values[:, None] - values) * (1 if minimised(name) else -1)
        with np.errstate(invalid="ignore", divide="ignore"):
            sure = np.where(better == 0, 0.0, better / errors[name])
        evidence = np.minimum(evidence, np.nan_to_num(sure, nan=0.0, posinf=np.inf, neginf=-np.inf))
    np.fill_diagonal(evidence, -np.inf)
    return evidence
