"""`Interval`: an estimate with its 95% interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
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

        Student's t would be 4% wider for 30 items and 2% for 60. It is not used, as most estimates here are sums over
        probes and prompts without one number of items.
        """
        return cls(estimate.value, estimate.value - QUANTILE * estimate.se, estimate.value + QUANTILE * estimate.se)

    def times(self, scale: float) -> Interval:
        """The same in other units."""
        return Interval(self.value * scale, self.low * scale, self.high * scale)

    @property
    def significant(self) -> bool:
        """Whether 0 lies outside; of one difference, not corrected for how many are looked at."""
        return self.low > 0 or self.high < 0
