"""`Outcomes`: all that finished trials measured, on scales that suit a Gaussian process, and back to the objectives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ama_ray.scores.families import family_mean
from ama_ray.scores.metrics import METRICS
from ama_ray.scores.tokens import TOKENS, minimised

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from ama_ray.scores.constraints import Constraints
    from ama_ray.scores.objectives import Objectives
    from ama_ray.scores.trial import Scores

MARGIN = 0.005
"""How far beyond 0 and 1 the scale of a score between them ends: a score of 1 on 100 items is less than certain."""
EPSILON = 0.8 * MARGIN
"""How near to a bound, as a share of the scale, a value may come."""
REWARD_MARGIN = 0.15
"""How far beyond the rewards seen their scale ends, as a share of their range."""


@dataclass(frozen=True)
class Link:
    """A scale between two bounds, on which values become their logit; without bounds, values stay as they are."""

    low: float = -torch.inf
    high: float = torch.inf

    def __call__(self, values: Tensor) -> Tensor:
        """The values on the scale of the model."""
        # Estimates of stopped trials may lie beyond the bounds.
        return torch.logit((values - self.low) / (self.high - self.low), EPSILON) if self.high < torch.inf else values

    def inverse(self, values: Tensor) -> Tensor:
        """The values in their units."""
        return self.low + (self.high - self.low) * torch.sigmoid(values) if self.high < torch.inf else values


class Outcomes:
    """What trials measured: every reward objective, tokens where they count, and the score of every probe.

    Attributes:
        modelled: On the scales of the models, shape (trials, outcomes), float64.
        objectives: In their units, tokens and tax negated so that all are maximised; shape (trials, objectives).
    """

    def __init__(self, scores: Sequence[Scores], objectives: Objectives, *, bounded_tokens: bool = False) -> None:
        """Collects outcomes.

        Args:
            scores: Of the trials; at least one.
            objectives: Of the run.
            bounded_tokens: Whether a constraint is on tokens.
        """
        self._names = objectives.names
        # What is no probe: the objectives but the tax, and tokens where they are bounded only.
        bounded_only = bounded_tokens and TOKENS not in self._names
        self._rewards = (*self._names[:-1], *([TOKENS] * bounded_only))
        self._probes = objectives.probes
        weights = objectives.weights()
        self._weights = torch.tensor([weights[term.name] for term in self._probes], dtype=torch.double)
        first = scores[0].probes
        # The tax of a probe is a difference from base, whose score any trial tells.
        base = [p.base_of(first[p.name].score, first[p.name].tax) for p in self._probes]
        self._base = torch.tensor(base, dtype=torch.double)
        columns = [
            [
                each.replies[objectives.tokens.of].tokens if name == TOKENS else each.objectives[name].value
                for each in scores
            ]
            for name in self._rewards
        ]
        columns += [[each.probes[term.name].score for each in scores] for term in self._probes]
        values = torch.tensor(columns, dtype=torch.double).T
        bounded = [None] * len(self._rewards) + [METRICS[probe.metric].bounded for probe in objectives.probes]
        self._links = [_link(column, each) for column, each in zip(values.T, bounded, strict=True)]
        self.modelled = torch.stack([link(each) for link, each in zip(self._links, values.T, strict=True)], -1)
        self.objectives = self.to_objectives(self.modelled)

    def to_objectives(self, modelled: Tensor) -> Tensor:
        """From outcomes on the scales of the models, shape (..., outcomes), to objectives, all maximised."""
        values = self._values(modelled)
        tax = (self._taxes(values) * self._weights).sum(-1, keepdim=True)
        signs = values.new_tensor([-1.0 if minimised(name) else 1.0 for name in self._names])
        return torch.cat([values[..., : len(self._names) - 1], tax], -1) * signs

    def excess(self, name: str, modelled: Tensor, constraints: Constraints) -> Tensor:
        """How far outcomes, shape (..., outcomes), are beyond a bound; 0 or less where they satisfy it."""
        values = self._values(modelled)
        taxes = dict(zip((term.name for term in self._probes), self._taxes(values).unbind(-1), strict=True))
        if name == "tax":
            value = -self.to_objectives(modelled)[..., -1]
        elif name in self._rewards:
            value = values[..., self._rewards.index(name)]
        else:
            kind, _, what = name.partition(".")
            probes: Sequence[str] = constraints.families[what] if kind == "family" else (what,)
            value = family_mean(taxes, probes)
        return constraints.excess(name, value)

    def _values(self, modelled: Tensor) -> Tensor:
        return torch.stack(
            [link.inverse(each) for link, each in zip(self._links, modelled.unbind(-1), strict=True)], -1
        )

    def _taxes(self, values: Tensor) -> Tensor:
        """The tax of every probe, shape (..., probes)."""
        scores = values[..., len(self._rewards) :].unbind(-1)
        return torch.stack([p.tax_of(s, b) for p, s, b in zip(self._probes, scores, self._base, strict=True)], -1)


def _link(values: Tensor, bounded: bool | None) -> Link:
    """The scale of a score, between 0 and 1 or unbounded, or (None) of a reward."""
    if bounded is not None:
        return Link(-MARGIN, 1 + MARGIN) if bounded else Link()
    low, high = float(values.min()), float(values.max())
    margin = REWARD_MARGIN * (high - low)
    return Link(low - margin, high + margin) if margin > 0 else Link()
