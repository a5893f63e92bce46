"""`EndStopper`: ends a search whose trials keep failing, whose swap is not sound, or that a signal has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray.tune import Stopper

if TYPE_CHECKING:
    from ama_ray.tuning.checking import CheckBeside
    from ama_ray.tuning.recorder import Recorder
    from ama_ray.tuning.signals import Interrupts


class EndStopper(Stopper):
    """Ends a search whose trials keep failing, whose swap is not sound, or that a signal has ended."""

    def __init__(self, recorder: Recorder, check: CheckBeside, signals: Interrupts) -> None:
        """Watches a recorder, the deep check and the signals."""
        self._recorder = recorder
        self._check = check
        self._signals = signals

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """A single trial ends by itself."""
        return False

    def stop_all(self) -> bool:
        """Whether the search should end."""
        return self._recorder.failing or self._check.has_failed() or self._signals.received is not None
