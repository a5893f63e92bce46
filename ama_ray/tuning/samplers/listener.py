"""`Listener`: a sampler that is told more of a trial than Optuna passes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from ama_ray.trial import Scores


@runtime_checkable
class Listener(Protocol):
    """Optuna tells a sampler the values of the objectives; this one hears of the scores behind them."""

    def tell(self, number: int, scores: Scores) -> None:
        """Notes what a trial of the study scored on the search split (estimates if it was stopped)."""

    def tell_ends(self, base: Scores, aligned: Scores) -> None:
        """Notes what base and aligned scored, whether they are in the study or not."""
