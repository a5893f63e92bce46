"""From the numbers that a sampler chooses to ratios: `Box`, `Profile` along knots, or `Slice` of a given mean.

Imports no torch, ray or vllm.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ama_ray.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

TOLERANCE = 1e-9
"""A mean ratio this close to the wanted one is the wanted one: run files give it in decimals."""


class Parametrization(Protocol):
    """Ratio vectors as parameters of a study.

    Attributes:
        ranges: Lowest and highest value of every parameter.
    """

    ranges: dict[str, tuple[float, float]]

    def to_ratios(self, params: Mapping[str, float]) -> dict[str, float]:
        """The ratio of every group, from the value of every parameter."""

    def to_params(self, ratios: Mapping[str, float]) -> dict[str, float]:
        """The inverse of `to_ratios`, for ratios of which `expresses` is true."""

    def expresses(self, ratios: Mapping[str, float]) -> bool:
        """Whether there are parameters for these ratios."""

    def nearest(self, ratios: Mapping[str, float]) -> dict[str, float]:
        """The nearest ratios (Euclidean) that a sampler could choose."""

    def moved(self, groups: Mapping[str, float]) -> dict[str, float]:
        """How far base and aligned are apart along every parameter, from how far they are in every group (`Groups`).

        Empty where that has no meaning.
        """


class Box:
    """Every ratio is its own parameter, under the name of its group."""

    def __init__(self, ranges: Mapping[str, tuple[float, float]]) -> None:
        """Takes the lowest and highest ratio by group."""
        self.ranges = dict(ranges)

    def to_ratios(self, params: Mapping[str, float]) -> dict[str, float]:
        """The parameters in the order of the groups."""
        return {group: params[group] for group in self.ranges}

    def to_params(self, ratios: Mapping[str, float]) -> dict[str, float]:
        """The ratios themselves, also those outside their ranges."""
        return dict(ratios)

    def expresses(self, ratios: Mapping[str, float]) -> bool:
        """Always: a uniform point outside a narrow range still tells a sampler something."""
        return True

    def nearest(self, ratios: Mapping[str, float]) -> dict[str, float]:
        """Every ratio clipped to its range."""
        return {group: min(max(ratios[group], low), high) for group, (low, high) in self.ranges.items()}

    def moved(self, groups: Mapping[str, float]) -> dict[str, float]:
        """As they are."""
        return dict(groups)


class Profile:
    """Ratios along depth: some follow knots, each the weighted mean of two of them; others are their own parameters.

    Few numbers move all groups, and neighbours move together: what many layers and few items need.
    """

    def __init__(self, ranges: Mapping[str, tuple[float, float]], knots: Mapping[str, Mapping[str, float]]) -> None:
        """Prepares a profile.

        Args:
            ranges: Lowest and highest ratio by group, in the order of depth.
            knots: The weights of the knots by group, for the groups that follow some (`Groups.knots`).
        """
        self._groups = list(ranges)
        self._weights = {group: dict(knots.get(group, {group: 1.0})) for group in ranges}
        self.ranges = {name: ranges[group] for group, weights in self._weights.items() for name in weights}
        self._matrix = np.array([[self._weights[g].get(name, 0.0) for name in self.ranges] for g in self._groups])

    def to_ratios(self, params: Mapping[str, float]) -> dict[str, float]:
        """The weighted means of the knots."""
        values = {group: math.fsum(w * params[n] for n, w in each.items()) for group, each in self._weights.items()}
        # Clipped, as rounding could take one out of its range by a hair.
        ends = {group: [params[name] for name in each] for group, each in self._weights.items()}
        return {group: min(max(value, min(ends[group])), max(ends[group])) for group, value in values.items()}

    def to_params(self, ratios: Mapping[str, float]) -> dict[str, float]:
        """The knots, also those outside their ranges."""
        return self._named(np.linalg.lstsq(self._matrix, self._values(ratios))[0])

    def expresses(self, ratios: Mapping[str, float]) -> bool:
        """Whether the ratios are on straight lines between knots, as uniform ones are; also outside their ranges."""
        found = self.to_params(ratios)
        off = self._matrix @ np.array([*found.values()]) - self._values(ratios)
        return bool(np.abs(off).max() <= TOLERANCE)

    def nearest(self, ratios: Mapping[str, float]) -> dict[str, float]:
        """The least squares fit of knots within their ranges."""
        from scipy.optimize import lsq_linear

        ends = tuple(zip(*self.ranges.values(), strict=True))
        fit = lsq_linear(self._matrix, self._values(ratios), ends, method="bvls", tol=1e-12)
        return self.to_ratios(self._named(fit.x))

    def moved(self, groups: Mapping[str, float]) -> dict[str, float]:
        """A knot moves the groups beside it, each by its weight (Euclidean)."""
        far = np.hypot.reduce(self._matrix * self._values(groups)[:, None], axis=0)
        return self._named(far)

    def _values(self, by_group: Mapping[str, float]) -> NDArray[np.float64]:
        return np.array([by_group[group] for group in self._groups], np.float64)

    def _named(self, values: NDArray[np.float64]) -> dict[str, float]:
        return dict(zip(self.ranges, values.tolist(), strict=True))


class Slice:
    """The ratios in the box that have a given mean, by one number in [0, 1] less than there are groups.

    Stick-breaking: group after group in the order of depth, `share-i` says where the ratio of group i lies in the
    interval that its range, the mean, and the ranges of the groups after it leave, from its low end (0) to its high end
    (1). What is left is the ratio of the last group. Every point of the slice is reached and none beside it, so that
    nothing has to be rejected. Shares chosen evenly do not make points that lie evenly on the slice.
    """

    def __init__(self, ranges: Mapping[str, tuple[float, float]], mean: float) -> None:
        """Prepares a slice.

        Args:
            ranges: Lowest and highest ratio by group.
            mean: Of the ratios, plain, over the groups.

        Raises:
            UserError: There is one group only, or the ranges leave the mean no choice.
        """
        if len(ranges) < 2:
            raise UserError(
                f"mean_ratio: the search space has one group, whose ratio would be {mean:g} in all trials; take away "
                "mean_ratio, or name a search space with more groups."
            )
        self._box = dict(ranges)
        self._groups = list(ranges)
        self._low, self._high = ([ends[i] for ends in ranges.values()] for i in (0, 1))
        lowest, highest = (math.fsum(ends) / len(ends) for ends in (self._low, self._high))
        if not lowest + TOLERANCE < mean < highest - TOLERANCE:
            raise UserError(
                f"mean_ratio: with the ranges of the search space, the mean ratio lies between {lowest:g} and "
                f"{highest:g}; {mean:g} is out of reach."
            )
        self._total = mean * len(ranges)
        self.ranges = {f"share-{position}": (0.0, 1.0) for position in range(len(ranges) - 1)}

    def to_ratios(self, params: Mapping[str, float]) -> dict[str, float]:
        """Gives each group in turn its share."""
        ratios: list[float] = []
        for share in (params[name] for name in self.ranges):
            low, high = self._left_for(ratios)
            # Clipped, as rounding could take it out of its range by a hair.
            ratios.append(min(max(low + share * (high - low), low), high))
        low, high = self._low[-1], self._high[-1]
        ratios.append(min(max(self._total - math.fsum(ratios), low), high))
        return dict(zip(self._groups, ratios, strict=True))

    def to_params(self, ratios: Mapping[str, float]) -> dict[str, float]:
        """The shares; 0 where the groups before leave a ratio no choice."""
        values = [ratios[group] for group in self._groups]
        shares = []
        for position in range(len(values) - 1):
            low, high = self._left_for(values[:position])
            shares.append(min(max((values[position] - low) / (high - low), 0.0), 1.0) if high > low else 0.0)
        return dict(zip(self.ranges, shares, strict=True))

    def expresses(self, ratios: Mapping[str, float]) -> bool:
        """Whether the ratios are in their ranges and have the mean."""
        inside = all(low <= ratios[group] <= high for group, (low, high) in self._box.items())
        return inside and abs(math.fsum(ratios.values()) - self._total) <= TOLERANCE * len(ratios)

    def nearest(self, ratios: Mapping[str, float]) -> dict[str, float]:
        """All ratios moved by the one amount that gives them the mean, once each is clipped to its range.

        That is the Euclidean projection. The sum of the clipped ratios grows with the amount, piecewise linearly, and
        bends where a ratio meets an end of its range.
        """
        values = [ratios[group] for group in self._groups]
        limits = list(zip(self._low, self._high, strict=True))

        def moved(amount: float) -> list[float]:
            return [min(max(v + amount, low), high) for v, (low, high) in zip(values, limits, strict=True)]

        def total(amount: float) -> float:
            return math.fsum(moved(amount))

        bends = sorted(end - value for value, ends in zip(values, limits, strict=True) for end in ends)
        after = min(max(bisect_left(bends, self._total, key=total), 1), len(bends) - 1)
        start, end = bends[after - 1], bends[after]
        slope = (total(end) - total(start)) / (end - start)
        return dict(zip(self._groups, moved(start + (self._total - total(start)) / slope), strict=True))

    def moved(self, groups: Mapping[str, float]) -> dict[str, float]:
        """A share moves all groups after its own, too."""
        return {}

    def _left_for(self, before: list[float]) -> tuple[float, float]:
        """The interval left for the next ratio once those before it are chosen; within its range, always."""
        position, left = len(before), self._total - math.fsum(before)
        low = max(self._low[position], left - math.fsum(self._high[position + 1 :]))
        high = min(self._high[position], left - math.fsum(self._low[position + 1 :]))
        return min(low, self._high[position]), max(high, self._low[position])


def parametrization(
    ranges: Mapping[str, tuple[float, float]],
    mean_ratio: float | None,
    knots: Mapping[str, Mapping[str, float]] | None = None,
) -> Parametrization:
    """The parametrization of a run.

    Args:
        ranges: Lowest and highest ratio by group, in the order of depth.
        mean_ratio: Of all ratio vectors that the sampler may choose; None leaves it free.
        knots: The weights of the knots by group, for groups that follow some (`Groups.knots`).

    Raises:
        UserError: The search space leaves the mean no choice, or has knots besides.
    """
    if mean_ratio is None:
        return Profile(ranges, knots) if knots else Box(ranges)
    if knots:
        raise UserError(
            "mean_ratio: the ratios of the search space follow knots, which cannot keep a mean; take away mean_ratio, "
            "or name a search space without knots."
        )
    return Slice(ranges, mean_ratio)
