"""`Timing`: where the wall time of a search went."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ama_ray.scores.trial import STAGES

if TYPE_CHECKING:
    from collections.abc import Mapping


class Clock:
    """Measures the parts of a run's start, one after another.

    Attributes:
        laps: Wall seconds by part, in their order.
    """

    def __init__(self, began: float | None = None) -> None:
        """Starts, or started at a `time.perf_counter()` of this process."""
        self._began = self._last = time.perf_counter() if began is None else began
        self.laps: dict[str, float] = {}

    def lap(self, part: str) -> None:
        """Ends a part."""
        now = time.perf_counter()
        self.laps[part], self._last = now - self._last, now

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._began

    def __str__(self) -> str:
        """One line: the sum and its parts."""
        parts = ", ".join(f"{part} {seconds:.0f}" for part, seconds in self.laps.items())
        return f"{sum(self.laps.values()):.0f} s ({parts})"


@dataclass(frozen=True)
class Timing:
    """Seconds of a search, summed over the engines that could run side by side.

    Attributes:
        wall: Wall seconds of the whole search.
        slots: Engines that run side by side; `wall * slots` is what the stages share.
        engine_start: Starting engines, imports included: every trial actor's, and the preparation where trials waited.
        swap: Swapping, with its verification and the cache reset.
        generate: Sampling replies and greedy answers.
        score: Log-likelihoods and the scorer.
    """

    wall: float
    slots: int
    engine_start: float
    swap: float
    generate: float
    score: float

    @classmethod
    def of(cls, stages: Mapping[str, float], wall: float, slots: int, engine_start: float) -> Timing:
        """The timing of a run whose trials took so many seconds in each stage."""
        seconds = {stage: stages.get(stage, 0.0) for stage in STAGES}
        return cls(wall=wall, slots=slots, engine_start=engine_start, **seconds)

    @property
    def orchestration(self) -> float:
        """Share of the wall time that went to anything else than the stages: Ray, Tune, Optuna, waiting (0-1)."""
        used = self.engine_start + self.swap + self.generate + self.score
        return 1 - used / (self.wall * self.slots)

    def to_dict(self) -> dict[str, float]:
        """The seconds by stage, and the share of orchestration."""
        return asdict(self) | {"orchestration": self.orchestration}

    def __str__(self) -> str:
        """One line: the share of each stage."""
        whole = self.wall * self.slots
        stages = {key: value for key, value in asdict(self).items() if key not in ("wall", "slots")}
        parts = ", ".join(f"{name.replace('_', ' ')} {value / whole:.0%}" for name, value in stages.items())
        return (
            f"{self.wall:.0f} s on {self.slots} engine{'s' if self.slots > 1 else ''}: {parts}, "
            f"orchestration {self.orchestration:.0%}"
        )
