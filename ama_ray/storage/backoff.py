"""`Backoff`: growing pauses between attempts, until it has gone on for too long."""

from __future__ import annotations

import time


class Backoff:
    """The pauses of one trouble, from its first failure on: each is twice as long as the one before, up to a limit.

    Attributes:
        wait: Seconds of the next pause.
    """

    def __init__(self, first: float, longest: float) -> None:
        """Begins now.

        Args:
            first: Seconds of the first pause.
            longest: Seconds that no pause exceeds.
        """
        self.wait = first
        self._longest = longest
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long the trouble has lasted."""
        return time.monotonic() - self._began

    def pause(self) -> None:
        """Sleeps; the next pause is longer."""
        time.sleep(self.wait)
        self.wait = min(2 * self.wait, self._longest)
