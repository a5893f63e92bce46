"""The parts that the objectives of a run are made of: one per reward, one per probe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ama_ray.scores.metrics import METRICS


@dataclass(frozen=True)
class RewardTerm:
    """A reward's part in its objective.

    Attributes:
        name: The name of the reward.
        objective: The objective that it is a part of.
        weight: What its scores count times in the objective.
        prompts: The number of its set of prompts: rewards on the same set are paired prompt by prompt.
    """

    name: str
    objective: str
    weight: float
    prompts: int


@dataclass(frozen=True)
class TokensTerm:
    """What `tokens` counts.

    Attributes:
        of: The reward or probe whose replies are counted; empty where nothing asks for it.
        is_objective: Whether fewer of them are an objective.
    """

    of: str = ""
    is_objective: bool = False


UNCOUNTED = TokensTerm()


@dataclass(frozen=True)
class ProbeTerm:
    """A probe's part in the tax; `metric` is a name in `ama_ray.scores.metrics.METRICS`."""

    name: str
    family: str
    metric: str

    @property
    def sign(self) -> float:
        """1 where a higher score is the better one, -1 where a lower one is."""
        return 1.0 if METRICS[self.metric].higher_is_better else -1.0

    def tax_of(self, score: Any, base: Any) -> Any:
        """How much worse a score is than base's, in points of the metric; numbers, arrays or tensors."""
        return self.sign * (base - score)

    def base_of(self, score: Any, tax: Any) -> Any:
        """The score of base, from a score and how much worse it is."""
        return score + self.sign * tax

    def score_of(self, tax: Any, base: Any) -> Any:
        """The inverse of `tax_of`: the score that is worse than base's by a tax."""
        return base - self.sign * tax
