"""Which groups matter for which objective: a response surface over the trials of a search, with errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ama_ray.scores.interval import Interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ama_ray.scores.trial import Trial

LEAST_TRIALS = 12
"""Trials with ratios that differ between groups; of fewer, no surface is fitted."""
DRAWS = 4000
_PENALTIES = np.logspace(-4, 5, 46)
"""Variance of the noise divided by that of the groups' slopes around their mean."""
_CURVATURE = 0.5
"""Prior standard deviation of a group's curvature, as a share of that of its slope."""

METHOD = (
    "An additive surface is fitted to the complete trials of the search split: in every group a line and a parabola of "
    "its ratio, drawn towards what they are on average by as much as the trials ask for (Bayesian regression, the "
    "strength averaged over). Shown is how much a group matters: the objective with the group at aligned minus with it "
    "at base, the others as they are, with its 95% credible interval: groups that the search moved together, and few "
    "trials, make it wide. Limits: what groups do only together counts as noise, the trials crowd where the search "
    "looked, and other items would move all trials alike, which the intervals leave out."
)


@dataclass(frozen=True)
class Importance:
    """Of every group for one objective.

    Attributes:
        objective: Its name.
        trials: How many the surface was fitted to.
        r2: Share of the variance between trials that the surface predicts of trials it was not fitted to; at most 1.
        groups: What each does, in units of the objective, in the order of the search space: the group at ratio 1 minus
            the group at ratio 0.
    """

    objective: str
    trials: int
    r2: float
    groups: tuple[Interval, ...]


def importance(trials: Sequence[Trial], seed: int = 0) -> list[Importance]:
    """Fits the surface for every objective.

    On made-up surfaces of 8 and 26 groups with 15 to 100 trials, the intervals held the truth 88% to 97% of the time.

    Args:
        trials: Complete ones, seen on one split.
        seed: Of the draws.

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
    found = []
    for name in trials[0].objectives:
        values = np.array([trial.objectives[name].value for trial in trials])
        if not np.isfinite(values).all() or not np.ptp(values) > 0:
            continue
        slopes, r2 = _posterior(features, values, np.random.default_rng(seed))
        effects = (slopes * ends).sum(axis=2)
        found.append(Importance(name, len(trials), r2, tuple(map(_interval, effects.T))))
    return found


def _features(ratios: NDArray[np.float64], highest: NDArray[np.float64]) -> NDArray[np.float64]:
    """The first two Legendre polynomials of every group's ratio, of unit variance over [0, highest]."""
    x = 2 * ratios / highest - 1
    line, parabola = np.sqrt(3) * x, np.sqrt(5) * (3 * x**2 - 1) / 2
    return np.stack([line, _CURVATURE * parabola], axis=2)


def _posterior(
    features: NDArray[np.float64], values: NDArray[np.float64], draw: np.random.Generator
) -> tuple[NDArray[np.float64], float]:
    """Draws of the slopes, shape (draws, groups, 2), and the R² of trials left out.

    What the groups are on average, like the intercept, has a flat prior; they differ from it by a normal one whose
    strength is averaged over by its likelihood.
    """
    count = len(values)
    free = np.column_stack([np.ones(count), features.sum(axis=1)])
    design = np.column_stack([free, features.reshape(count, -1)])
    gram, right = design.T @ design, design.T @ values
    degrees = count - free.shape[1]
    fits, likelihood = [], []
    for penalty in _PENALTIES:
        # The flat priors are nearly so, as a run with a fixed mean ratio leaves the average to its uniform points.
        prior = np.full(len(gram), penalty)
        prior[:3] = 1e-6
        root = np.linalg.cholesky(gram + np.diag(prior))
        mean = np.linalg.solve(root.T, np.linalg.solve(root, right))
        rest = max(float(values @ values - right @ mean), 1e-12 * float(values @ values))
        likelihood.append(np.log(prior).sum() / 2 - np.log(np.diag(root)).sum() - degrees / 2 * np.log(rest))
        fits.append((root, mean, rest))
    weights = np.exp(np.array(likelihood) - max(likelihood))
    draws = []
    for (root, mean, rest), times in zip(fits, draw.multinomial(DRAWS, weights / weights.sum()), strict=True):
        noise = np.sqrt(rest / draw.chisquare(degrees, times))
        draws.append(mean + noise[:, None] * np.linalg.solve(root.T, draw.standard_normal((len(gram), times))).T)
    drawn = np.concatenate(draws)
    slopes = drawn[:, 3:].reshape(DRAWS, -1, 2) + drawn[:, None, 1:3]
    root, mean, _ = fits[int(np.argmax(weights))]
    leverage = (np.linalg.solve(root, design.T) ** 2).sum(axis=0)
    left_out = (values - design @ mean) / np.maximum(1 - leverage, 1e-9)
    # The mean leaves each trial out, too.
    total = np.sum(((values - values.mean()) * count / (count - 1)) ** 2)
    return slopes, 1 - float(np.sum(left_out**2) / total)


def _interval(draws: NDArray[np.float64]) -> Interval:
    low, high = np.percentile(draws, (2.5, 97.5))
    return Interval(float(draws.mean()), float(low), float(high))
