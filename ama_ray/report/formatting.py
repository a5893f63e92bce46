"""How numbers and times are written."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ama_ray.config import RunConfig
    from ama_ray.scores.interval import Interval


def duration(seconds: float) -> str:
    """Seconds as people say them, such as 1 min 05 s."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


PLUS_MINUS = "± is one standard error."
BRACKETS = "In brackets: 95% intervals by resampled items; they allow for the choice of the points by these same items."


def decimals(values: Iterable[float]) -> int:
    """How many decimals show about a thousandth of the range of the values."""
    finite = [value for value in values if math.isfinite(value)]
    spread = max(finite, default=0.0) - min(finite, default=0.0)
    return 3 if spread == 0 else min(6, max(0, 2 - math.floor(math.log10(spread))))


def with_interval(interval: Interval, written: str) -> str:
    """An estimate with its 95% interval, where that is known, as in `0.93 [0.91, 0.95]`.

    Args:
        interval: The interval.
        written: How its numbers are written, as in `z.3f`.
    """
    if math.isnan(interval.low):
        return format(interval.value, written)
    return f"{interval.value:{written}} [{interval.low:{written}}, {interval.high:{written}}]"


def plus_minus(value: float, error: float, places: int) -> str:
    """An estimate with its standard error, where that is known."""
    text = f"{value:z.{places}f}"
    return text if math.isnan(error) else f"{text} ± {error:.{places}f}"


def replies_per_prompt(config: RunConfig) -> str:
    """How many replies each prompt got, on both splits."""
    if not config.replies_rewards:
        return "none"
    sampling = config.replies_rewards[0].sampling
    if sampling.temperature == 0:
        return "1, greedy"
    return f"{sampling.n}, on the report split {config.report.samples} times"
