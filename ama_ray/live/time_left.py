"""`TimeLeft`: how long a search will still take, from the pace so far."""

from __future__ import annotations

import math

LEAST = 3
"""Gaps between ends of trials, before which nothing is said."""


class TimeLeft:
    """Takes in when trials end. In so many seconds one more ends on all engines together, whatever they wait for."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._count, self._sum, self._squares = 0, 0.0, 0.0

    def ended(self, now: float) -> None:
        """Takes in that a trial ended, at a time in seconds."""
        if self._last is not None:
            gap = now - self._last
            self._count, self._sum, self._squares = self._count + 1, self._sum + gap, self._squares + gap * gap
        self._last = now

    def __call__(self, fewest: int, most: int, now: float) -> tuple[float, float] | None:
        """Seconds until so many more trials have ended, and half of their 95% interval; None where it is too early.

        The interval holds how much the gaps vary, how well their mean is known, and the range from fewest to most.
        """
        if self._count < LEAST or self._last is None:
            return None
        mean = self._sum / self._count
        variance = max(0.0, self._squares - self._count * mean * mean) / (self._count - 1)
        trials = (fewest + most) / 2
        error = 1.96 * math.sqrt(variance * (trials + trials * trials / self._count))
        spent = min(now - self._last, mean)
        return max(0.0, mean * trials - spent), math.hypot(error, mean * (most - fewest) / 2)
