"""`Outcomes`: all that finished trials measured, on scales that suit a Gaussian process, and back to the objectives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ama_ray.scores.families import family_mean
from ama_ray.scores.metrics import METRICS
from ama_ray.scores.trial import Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from ama_ray.scores.constraints import Constraints
    from ama_ray.scores.objectives import Objectives
    from ama_ray.scores.trial import Scores

MARGIN = 0.005
"""How far beyond 0 and 1 the scale of a score between them ends, at least: a score of 1 is less than certain. Where the
smallest standard error seen is larger, it is the margin: of few items, 1 and a little less are the same."""
LEAST_ERROR = 0.001
"""Of a value, as a share of its scale: errors that are not known, or are 0, are taken for this one."""
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

    def slope(self, values: Tensor) -> Tensor:
        """How much the scale of the model stretches a small change of each value."""
        if self.high == torch.inf:
            return torch.ones_like(values)
        share = ((values - self.low) / (self.high - self.low)).clamp(EPSILON, 1 - EPSILON)
        return 1 / (share * (1 - share) * (self.high - self.low))

    def inverse(self, values: Tensor) -> Tensor:
        """The values in their units."""
        return self.low + (self.high - self.low) * torch.sigmoid(values) if self.high < torch.inf else values


class Outcomes:
    """What trials measured: every reward objective and the score of every probe.

    Attributes:
        modelled: On the scales of the models, shape (trials, outcomes), float64.
        variances: Of their errors, on these scales, by the delta method; shape (trials, outcomes).
        objectives: In their units, the tax negated so that all are maximised; shape (trials, objectives).
    """

    def __init__(self, scores: Sequence[Scores], objectives: Objectives) -> None:
        """Collects outcomes.

        Args:
            scores: Of the trials; at least one.
            objectives: Of the run.
        """
        self._rewards = objectives.names[:-1]
        self._probes = objectives.probes
        weights = objectives.weights()
        self._weights = torch.tensor([weights[term.name] for term in self._probes], dtype=torch.double)
        first = scores[0].probes
        # The tax of a probe is a difference from base, whose score any trial tells.
        base = [p.base_of(first[p.name].score, first[p.name].tax) for p in self._probes]
        self._base = torch.tensor(base, dtype=torch.double)
        estimates = [[each.objectives[name] for each in scores] for name in self._rewards]
        estimates += [
            [Estimate(found.score, found.score_se) for each in scores for found in (each.probes[term.name],)]
            for term in self._probes
        ]
        values, errors = (
            torch.tensor([[getattr(each, what) for each in column] for column in estimates], dtype=torch.double).T
            for what in ("value", "se")
        )
        bounded = [None] * len(self._rewards) + [METRICS[probe.metric].bounded for probe in objectives.probes]
        columns = list(zip(values.T, errors.T, strict=True))
        self._links = [_link(*column, each) for column, each in zip(columns, bounded, strict=True)]
        self.modelled = torch.stack([link(each) for link, (each, _) in zip(self._links, columns, strict=True)], -1)
        stretched = [link.slope(each) * _known(error, each) for link, (each, error) in zip(self._links, columns, strict=True)]
        self.variances = torch.stack(stretched, -1) ** 2
        self.objectives = self.to_objectives(self.modelled)

    def to_objectives(self, modelled: Tensor) -> Tensor:
        """From outcomes on the scales of the models, shape (..., outcomes), to objectives, all maximised."""
        values = self._values(modelled)
        tax = (self._taxes(values) * self._weights).sum(-1, keepdim=True)
        return torch.cat([values[..., : len(self._rewards)], -tax], -1)

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


def _known(errors: Tensor, values: Tensor) -> Tensor:
    """Errors without those that a model cannot work with."""
    least = LEAST_ERROR * max(float(values.max() - values.min()), LEAST_ERROR)
    return errors.nan_to_num(0.0).clamp(min=least)


def _link(values: Tensor, errors: Tensor, bounded: bool | None) -> Link:
    """The scale of a score, between 0 and 1 or unbounded, or (None) of a reward."""
    if bounded:
        margin = max(MARGIN, float(errors.nan_to_num(torch.inf).min())) if errors.isfinite().any() else MARGIN
        return Link(-margin, 1 + margin)
    if bounded is not None:
        return Link()
    low, high = float(values.min()), float(values.max())
    margin = REWARD_MARGIN * (high - low)
    return Link(low - margin, high + margin) if margin > 0 else Link()
