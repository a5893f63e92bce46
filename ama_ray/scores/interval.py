"""`Interval`: an estimate with its 95% interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ama_ray.scores.trial import Estimate

    Draws = NDArray[np.float64]

QUANTILE = 1.96
"""Of the normal distribution: an interval of so many standard errors to both sides holds 95%."""


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95% interval, in the units of the estimate; the ends are NaN where they are not known."""

    value: float
    low: float
    high: float

    @classmethod
    def normal(cls, estimate: Estimate) -> Interval:
        """The interval of a normal distribution: 1.96 standard errors to both sides.

        For estimates without one number of items, such as sums over probes; else `of_mean` and `of_share` know more.
        """
        return cls(estimate.value, estimate.value - QUANTILE * estimate.se, estimate.value + QUANTILE * estimate.se)

    @classmethod
    def of_mean(cls, values: NDArray[np.float64]) -> Interval:
        """The mean of values without bounds, shape (items,), with Student's t; the ends are NaN for a single item."""
        count, mean = len(values), float(values.mean())
        if count < 2:
            return cls(mean, math.nan, math.nan)
        reach = QUANTILE * expansion(count) * float(values.std()) / math.sqrt(count)
        return cls(mean, mean - reach, mean + reach)

    @classmethod
    def of_share(cls, share: float, count: int) -> Interval:
        """The share of right answers among a number of items, with Wilson's score interval.

        It never has a width of 0 and stays within 0 and 1 (Wilson 1927, Probable inference; recommended by Brown, Cai
        and DasGupta 2001, Interval estimation for a binomial proportion).
        """
        weight = QUANTILE**2 / count
        middle = (share + weight / 2) / (1 + weight)
        reach = QUANTILE / (1 + weight) * math.sqrt(share * (1 - share) / count + weight / (4 * count))
        return cls(share, max(middle - reach, 0.0), min(middle + reach, 1.0))

    @classmethod
    def sum(cls, parts: Sequence[Interval]) -> Interval:
        """The sum of independent estimates.

        Each end is as far away as the ends of the parts together, squared and added (MOVER: Zou and Donner 2008,
        Construction of confidence limits about effect measures), so that lopsided intervals have a lopsided sum.
        """
        value = math.fsum(part.value for part in parts)
        low = math.hypot(*(part.value - part.low for part in parts))
        high = math.hypot(*(part.high - part.value for part in parts))
        return cls(value, value - low, value + high)

    @classmethod
    def of_draws(cls, value: float, draws: Draws) -> Interval:
        """From the 2.5th to the 97.5th percentile of draws; those that are not finite are left out."""
        known = draws[np.isfinite(draws)]
        if math.isnan(value) or not len(known):
            return cls(value, math.nan, math.nan)
        low, high = np.percentile(known, (2.5, 97.5))
        return cls(value, float(low), float(high))

    def times(self, scale: float) -> Interval:
        """The same in other units; the scale is positive."""
        return Interval(self.value * scale, self.low * scale, self.high * scale)

    @property
    def significant(self) -> bool:
        """Whether 0 lies outside; of one difference, not corrected for how many are looked at."""
        return self.low > 0 or self.high < 0


def expansion(count: int) -> float:
    """How many times wider Student's interval of a mean is than the one that its resampled items give.

    Args:
        count: The number of items; at least 2.
    """
    from scipy.special import stdtrit

    return float(stdtrit(count - 1, 0.975)) / QUANTILE * math.sqrt(count / (count - 1))
