"""`Precision`: how small a difference some numbers of items can show, and how many items show a given one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scipy.special import stdtrit

if TYPE_CHECKING:
    from collections.abc import Mapping

LEVEL = 0.05
"""Of the two-sided test: so often a difference of 0 is taken for one."""
POWER = 0.8
"""How often a difference that is there is to be found."""
_STEPS = 60


@dataclass(frozen=True)
class Precision:
    """The standard error of a mean of paired differences, and what it becomes with other numbers of items.

    The mean may be one over several sources, each with its own number of items: more items then means so many times as
    many of every source.

    Attributes:
        variance: The square of the standard error; NaN where it is not known.
        freedom: Degrees of freedom of Student's t.
        items: How many prompts or items there are, by name of their source.
        ends: The part of the variance that is from pseudo-observations, and so falls with the square of the number of
            items. It is 0 where the variance was estimated from items, as then nobody knows which part it is.
    """

    variance: float
    freedom: float
    items: Mapping[str, int]
    ends: float = 0.0

    @property
    def se(self) -> float:
        """The standard error."""
        return math.sqrt(self.variance)

    @property
    def quantile(self) -> float:
        """How many standard errors to both sides a 95% interval has."""
        return float(stdtrit(self.freedom, 1 - LEVEL / 2)) if self.freedom > 0 else math.nan

    @property
    def smallest(self) -> float:
        """The smallest difference that is found with a probability of 80% in a two-sided test at 5%; NaN if unknown."""
        return self._smallest(1.0)

    def times_for(self, effect: float) -> float:
        """How many times as many items it takes to find a difference of this size, with a probability of 80%.

        The textbook rule with Student's t: the difference is the sum of the two quantiles, of the test and of the
        power, in standard errors (Cochran and Cox, Experimental Designs, section 2.2).

        Returns:
            The number of times; infinite for no difference, NaN where the standard error is not known.
        """
        if not effect or math.isnan(self.variance + effect) or not self.freedom > 0:
            return math.inf if effect == 0 else math.nan
        # As few as leave a degree of freedom; and as many as do with one, where Student's t is widest.
        low = 1 / self.freedom
        if self._smallest(low) <= abs(effect):
            return low
        high = low
        while self._smallest(high) > abs(effect):
            high *= 4
        for _ in range(_STEPS):
            middle = math.sqrt(low * high)
            low, high = (low, middle) if self._smallest(middle) <= abs(effect) else (middle, high)
        return high

    def items_for(self, effect: float) -> dict[str, int] | None:
        """The numbers of items, by source, that `times_for` means; None where no number would do or none is known."""
        times = self.times_for(effect)
        if not math.isfinite(times):
            return None
        return {name: max(2, math.ceil(count * times - 1e-6)) for name, count in self.items.items()}

    def _smallest(self, times: float) -> float:
        """The smallest difference that is found with so many times the items."""
        if not self.freedom > 0:
            return math.nan
        freedom = self.freedom * times
        error = math.sqrt((self.variance - self.ends) / times + self.ends / times**2)
        return float(stdtrit(freedom, 1 - LEVEL / 2) + stdtrit(freedom, POWER)) * error
