"""`SamplerContext`: what a sampler is made for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ama_ray.scores.constraints import Constraints

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ama_ray.scores.objectives import Objectives
    from ama_ray.scores.trial import Scores

FEWEST = 5
"""Trials before a model of them is worth asking."""


@dataclass(frozen=True)
class SamplerContext:
    """What a sampler is made for.

    Attributes:
        ranges: Lowest and highest value of every parameter of the study.
        objectives: Of the run.
        trials: Of the whole search.
        parallel: Engines that run side by side.
        first: How many points of the study are scored before the sampler chooses: baseline and warm starts.
        seed: Of the sampler.
        known: Trials of an earlier process, which the sampler starts with.
        constraints: Of the run.
        reference: Worst values worth anything, by objective, as in the run file.
        moved: How far a group is from base to aligned, by parameter; empty where parameters are no groups.
    """

    ranges: Mapping[str, tuple[float, float]]
    objectives: Objectives
    trials: int
    parallel: int
    first: int
    seed: int
    known: int = 0
    constraints: Constraints = field(default_factory=Constraints)
    reference: Mapping[str, float] = field(default_factory=dict)
    moved: Mapping[str, float] = field(default_factory=dict)

    @property
    def stream_seed(self) -> int:
        """The seed for a sampler that draws from one stream: taken up with the same, it would repeat itself."""
        return (self.seed + self.known) % 2**32

    @property
    def startup(self) -> int:
        """Finished trials from which a model is asked, instead of chance.

        The first points are the start-up. As many as there are engines are still in flight when the sampler is first
        asked.
        """
        return max(self.first - self.parallel, FEWEST)


@runtime_checkable
class ScoreAware(Protocol):
    """Optuna tells a sampler the values of the objectives; this one hears of the scores behind them."""

    def tell(self, number: int, scores: Scores) -> None:
        """Notes what a trial of the study scored on the search split (estimates if it was stopped)."""

    def tell_ends(self, base: Scores, aligned: Scores) -> None:
        """Notes what base and aligned scored, whether they are in the study or not."""
