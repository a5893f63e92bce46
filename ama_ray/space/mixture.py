"""`Mixture`: the shares of several aligned models by numbers in a cube. Imports no torch, ray or vllm."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ama_ray.space.groups import group_and_model

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ama_ray.space.parametrization import Parametrization

TOLERANCE = 1e-9
"""Shares whose sum is this close to 1 have the sum 1."""


class Mixture:
    """Shares of 0 or more with a sum of at most 1 in every group, from as many numbers in [0, 1] as there are shares.

    The first, under the name of the group, is the sum of the shares: what the ratio is where there is one aligned
    model. The others say how it is divided, by stick-breaking: `group/model` is what a model takes of what those before
    it leave. Chosen evenly, they make sums that are even between 0 and 1, and divisions that are even on their simplex.
    Every mixture is reached and nothing else; at the corners several vectors of numbers make one mixture.
    """

    def __init__(self, inner: Parametrization) -> None:
        """Prepares a mixture.

        Args:
            inner: Makes ratios of values of which those of one group, or of one knot, are shares.
        """
        self._inner = inner
        self._members: dict[str, list[str]] = {}
        for name in inner.ranges:
            self._members.setdefault(group_and_model(name)[0], []).append(name)
        self.ranges = {name: (0.0, 1.0) for group in self._members for name in self._names(group)}

    def to_ratios(self, params: Mapping[str, float]) -> dict[str, float]:
        """Divides the sum of every group, or knot, among its models."""
        values = {
            name: share
            for group, members in self._members.items()
            for name, share in zip(members, divided([params[name] for name in self._names(group)]), strict=True)
        }
        return self._inner.to_ratios(values)

    def to_params(self, ratios: Mapping[str, float]) -> dict[str, float]:
        """The sums and how they are divided; evenly where there is nothing to divide."""
        values = self._inner.to_params(ratios)
        return {
            name: number
            for group, members in self._members.items()
            for name, number in zip(self._names(group), joined([values[each] for each in members]), strict=True)
        }

    def expresses(self, ratios: Mapping[str, float]) -> bool:
        """Whether the shares are a mixture, and such that the inner parametrization expresses them."""
        if not self._inner.expresses(ratios):
            return False
        return all(
            min(shares) >= -TOLERANCE and math.fsum(shares) <= 1 + TOLERANCE
            for shares in self._shares(self._inner.to_params(ratios))
        )

    def nearest(self, ratios: Mapping[str, float]) -> dict[str, float]:
        """Those nearest to the inner parametrization's nearest, group by group or knot by knot (Euclidean)."""
        values = self._inner.to_params(self._inner.nearest(ratios))
        projected = [share for shares in self._shares(values) for share in onto_simplex(shares)]
        names = [name for members in self._members.values() for name in members]
        return self._inner.to_ratios(dict(zip(names, projected, strict=True)))

    def moved(self, groups: Mapping[str, float]) -> dict[str, float]:
        """How far the models of a group are from base together, for each of its numbers."""
        far = self._inner.moved(groups)
        return {
            name: math.hypot(*(far[each] for each in members))
            for group, members in self._members.items()
            for name in self._names(group)
        }

    def _names(self, group: str) -> list[str]:
        """The names of a group's numbers: its sum, then what each model but the last takes of the rest."""
        return [group, *(f"{group}/{group_and_model(name)[1]}" for name in self._members[group][:-1])]

    def _shares(self, values: Mapping[str, float]) -> Iterator[list[float]]:
        return ([values[name] for name in members] for members in self._members.values())


def divided(numbers: Sequence[float]) -> list[float]:
    """Shares of models: the first number is their sum, and the others say what each but the last takes of the rest."""
    total, *takes = numbers
    left, parts = 1.0, []
    for position, take in enumerate(takes):
        others = len(takes) - position  # models that the rest is for
        part = left * (1 - (1 - take) ** (1 / others))
        parts.append(part)
        left -= part
    return [total * part for part in [*parts, max(left, 0.0)]]


def joined(shares: Sequence[float]) -> list[float]:
    """The inverse of `divided`; what divides nothing is as if all models had the same."""
    total = math.fsum(shares)
    parts = [share / total for share in shares] if total > 0 else [1 / len(shares)] * len(shares)
    numbers, left = [min(max(total, 0.0), 1.0)], 1.0
    for position, part in enumerate(parts[:-1]):
        others = len(parts) - 1 - position
        taken = min(max(part / left, 0.0), 1.0) if left > 0 else 1 / (others + 1)
        numbers.append(1 - (1 - taken) ** others)
        left = max(left - part, 0.0)
    return numbers


def onto_simplex(shares: Sequence[float]) -> list[float]:
    """The nearest shares of 0 or more with a sum of at most 1 (Euclidean)."""
    kept = [max(share, 0.0) for share in shares]
    if math.fsum(kept) <= 1:
        return kept
    # All are lowered by one amount, and those that it takes below 0 are 0.
    falling = sorted(shares, reverse=True)
    amounts = ((math.fsum(falling[:count]) - 1) / count for count in range(1, len(falling) + 1))
    amount = max(amount for amount, share in zip(amounts, falling, strict=True) if share > amount)
    return [max(share - amount, 0.0) for share in shares]
