"""Which groups matter for which objective: a response surface over the trials of a search, with errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ama_ray.comparison import Interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ama_ray.trial import Trial

LEAST_TRIALS = 12
"""Trials with ratios that differ between groups; of fewer, no surface is fitted."""
DRAWS = 300
_PENALTIES = np.logspace(-3, 4, 29)
_CURVATURE = 0.5
"""Prior standard deviation of a group's curvature, as a share of that of its slope."""

METHOD = (
    "An additive surface is fitted to the complete trials of the search split: in every group a line and a parabola of "
    "its ratio, with a ridge penalty chosen by leaving each trial out. Importance is the variance of a group's curve "
    "over its range, as a share of the sum over groups; the effect is the objective with the group at aligned minus "
    "with it at base, the others as they are. Bars and brackets are 95% intervals of the Bayesian bootstrap over "
    "trials. Limits: what groups do only together is left out; groups that the search moved together share their "
    "credit; the penalty draws effects towards zero; the intervals tell what other trials would have said, not other "
    "items."
)


@dataclass(frozen=True)
class GroupEffect:
    """What one group does to one objective.

    Attributes:
        share: Of the variance that the groups explain (0-1).
        effect: In units of the objective: the group at ratio 1 minus the group at ratio 0.
    """

    share: Interval
    effect: Interval


@dataclass(frozen=True)
class Importance:
    """Of every group for one objective.

    Attributes:
        objective: Its name.
        trials: How many the surface was fitted to.
        r2: Share of the variance between trials that the surface predicts of trials it was not fitted to; at most 1.
        groups: In the order of the search space.
    """

    objective: str
    trials: int
    r2: float
    groups: tuple[GroupEffect, ...]


def importance(trials: Sequence[Trial], seed: int = 0) -> list[Importance]:
    """Fits the surface for every objective.

    Args:
        trials: Complete ones, seen on one split.
        seed: Of the bootstrap.

    Returns:
        One per objective that differs between trials; none where there is a single group, or too few trials whose
        groups differ.
    """
    if sum(trial.uniform_ratio is None for trial in trials) < LEAST_TRIALS:
        return []
    ratios = np.array([[*trial.ratios.values()] for trial in trials])
    highest = np.maximum(1.0, ratios.max(axis=0))
    features = _features(ratios, highest)
    ends = _features(np.ones((1, ratios.shape[1])), highest) - _features(np.zeros((1, ratios.shape[1])), highest)
    draws = np.random.default_rng(seed).dirichlet(np.ones(len(trials)), DRAWS) * len(trials)
    found = []
    for name in trials[0].objectives:
        values = np.array([trial.objectives[name].value for trial in trials])
        if not np.isfinite(values).all() or not np.ptp(values) > 0:
            continue
        penalty, r2 = _penalty(features, values)
        weights = np.vstack([np.ones(len(trials)), draws])
        slopes = np.array([_fit(features, values, penalty, each) for each in weights])
        by_group = slopes.reshape(len(slopes), ratios.shape[1], 2) * [1.0, _CURVATURE]
        variance = (by_group**2).sum(axis=2)
        shares = variance / np.maximum(variance.sum(axis=1, keepdims=True), 1e-300)
        effects = (slopes * ends).reshape(by_group.shape).sum(axis=2)
        groups = tuple(GroupEffect(_interval(s), _interval(e)) for s, e in zip(shares.T, effects.T, strict=True))
        found.append(Importance(name, len(trials), r2, groups))
    return found


def _features(ratios: NDArray[np.float64], highest: NDArray[np.float64]) -> NDArray[np.float64]:
    """The first two Legendre polynomials of every group's ratio, of unit variance over [0, highest]."""
    x = 2 * ratios / highest - 1
    line, parabola = np.sqrt(3) * x, np.sqrt(5) * (3 * x**2 - 1) / 2
    return np.stack([line, _CURVATURE * parabola], axis=2).reshape(len(ratios), -1)


def _penalty(features: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[float, float]:
    """The ridge penalty with the least error of leaving each trial out, and its R²."""
    left, singular, _ = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)
    centred = values - values.mean()
    projected = left.T @ centred
    best = (np.inf, 1.0)
    for penalty in _PENALTIES:
        shrink = singular**2 / (singular**2 + penalty)
        leverage = np.minimum(1 / len(values) + left**2 @ shrink, 1 - 1e-9)
        error = float(np.sum(((centred - left @ (shrink * projected)) / (1 - leverage)) ** 2))
        best = min(best, (error, float(penalty)))
    # The mean leaves each trial out, too.
    total = float(np.sum((centred * len(values) / (len(values) - 1)) ** 2))
    return best[1], 1 - best[0] / total


def _fit(
    features: NDArray[np.float64], values: NDArray[np.float64], penalty: float, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    share = weights / weights.sum()
    x, y = features - share @ features, values - share @ values
    weighted = x * weights[:, None]
    slopes: NDArray[np.float64] = np.linalg.solve(weighted.T @ x + penalty * np.eye(x.shape[1]), weighted.T @ y)
    return slopes


def _interval(draws: NDArray[np.float64]) -> Interval:
    low, high = np.percentile(draws[1:], (2.5, 97.5))
    return Interval(float(draws[0]), float(low), float(high))
