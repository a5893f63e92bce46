"""`MeanRatios`: free scores turned into ratios that have a given mean and stay within their ranges."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class MeanRatios:
    """The paper's parametrization (arXiv 2309.06256, eq. 11), with ranges.

    A group's weight is a_i = sigmoid(s_i) + epsilon, and its ratio is c a_i, with the one c that gives the ratios the
    wanted mean. The paper's code takes c = K mean / sum(a) and lets ratios exceed 1. Here a ratio ends at its range,
    and c is solved for anew, so that the others share what was cut off in proportion to their weights: the mean of
    the ratios is what was asked for, always.

    Attributes:
        mean: Of the ratios, plain, over the groups.
        low: Lowest ratio of each group, shape (groups,), float64.
        high: Highest ratio of each group, same shape.
        epsilon: Keeps the ratios within a factor of 1 + 1 / epsilon of each other.
    """

    mean: float
    low: torch.Tensor
    high: torch.Tensor
    epsilon: float

    def ratios(self, scores: torch.Tensor) -> torch.Tensor:
        """The ratios of scores.

        Args:
            scores: Shape (groups,), float64; equal ones give the uniform point wherever the ranges allow it.
        """
        weights = torch.sigmoid(scores) + self.epsilon
        return (self._scale(weights) * weights).clamp(self.low, self.high)

    def gradient(self, scores: torch.Tensor, by_ratio: torch.Tensor) -> torch.Tensor:
        """The gradient by the scores, from that by the ratios: exact for ratios inside their ranges.

        A ratio at an end of its range would have none and stay there for good. It has the gradient by its own ratio at
        the price that the others put on the mean, where that points back into the range (the projected gradient).

        Args:
            scores: Shape (groups,), float64.
            by_ratio: Of the loss, same shape.
        """
        sigmoid = torch.sigmoid(scores)
        weights = sigmoid + self.epsilon
        scale = self._scale(weights)
        at_low, at_high = scale * weights <= self.low, scale * weights >= self.high
        inside = ~(at_low | at_high)
        price = (weights * by_ratio)[inside].sum() / weights[inside].sum() if inside.any() else by_ratio.mean()
        surplus = by_ratio - price
        stuck = (at_low & (surplus > 0)) | (at_high & (surplus < 0))
        return torch.where(stuck, 0.0, scale * sigmoid * (1 - sigmoid) * surplus)

    def _scale(self, weights: torch.Tensor) -> torch.Tensor:
        """The c at which the mean of clamp(c weights) is the wanted one.

        That mean is piecewise linear in c, and bends where a ratio meets an end of its range.
        """
        bends = torch.cat([self.low / weights, self.high / weights]).sort().values
        means = (bends[:, None] * weights).clamp(self.low, self.high).mean(1)
        after = int(torch.searchsorted(means, self.mean).clamp(1, len(means) - 1))
        step = means[after] - means[after - 1]
        share = (self.mean - means[after - 1]) / step if step > 0 else 0.0
        return bends[after - 1] + share * (bends[after] - bends[after - 1])
