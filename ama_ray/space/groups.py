"""`Groups`: the numbers that a search is for, one for every group of tensors and every aligned model."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OF = "@"
"""Stands between the names of a group and of an aligned model; neither holds it."""
ONE_MODEL = ("",)
"""The names of the aligned models where there is one: numbers then have the names of their groups."""


def number_name(group: str, model: str) -> str:
    """The name of the number that is the share of a model in a group."""
    return f"{group}{OF}{model}" if model else group


def group_and_model(number: str) -> tuple[str, str]:
    """The inverse of `number_name`."""
    group, _, model = number.rpartition(OF)
    return (group, model) if group else (model, "")


@dataclass(frozen=True)
class Groups:
    """A search space applied to the tensors of one set of checkpoints.

    Its numbers are the shares of the aligned models in the groups. With one aligned model there is a number for every
    group, its ratio, which has the group's name; with several, one for every model that differs from base there.

    Attributes:
        names: The numbers, by their groups in order of depth: input side, layers ascending, output side.
        of: Group name of every tensor that is in one.
        ranges: Lowest and highest value of every number.
        knots: Of every number that follows knots: their names, each with its weight; the weights sum to 1, and the
            knots have the number's range.
        still: Groups that were left out, as no model differs from base there.
        models: The names of the aligned models; see `ONE_MODEL`.
        equal: Of every aligned model, the tensors that are equal in base, as far as that is known.
    """

    names: tuple[str, ...]
    of: dict[str, str]
    ranges: dict[str, tuple[float, float]]
    knots: dict[str, dict[str, float]] = field(default_factory=dict)
    still: tuple[str, ...] = ()
    models: tuple[str, ...] = ONE_MODEL
    equal: tuple[frozenset[str], ...] = (frozenset(),)

    def without_still(self, norms: Mapping[str, float]) -> Groups:
        """Leaves out the groups that are equal in base and aligned, as no ratio of theirs would change a merge.

        Args:
            norms: How far every tensor is from base to aligned (`Pair.moves`).
        """
        moved = self.moved([norms])
        names = tuple(name for name in self.names if moved[name])
        return Groups(
            names,
            {tensor: group for tensor, group in self.of.items() if moved[group]},
            {name: self.ranges[name] for name in names},
            {name: knots for name, knots in self.knots.items() if moved[name]},
            tuple(name for name in self.names if not moved[name]),
        )

    def among(self, models: Sequence[str], norms: Sequence[Mapping[str, float]]) -> Groups:
        """The same with a number for every model that differs from base in a group.

        Args:
            models: The names of several aligned models.
            norms: Of each, how far every tensor is from base (`Pair.moves`).
        """
        every = replace(self, names=tuple(number_name(g, m) for g in self.names for m in models), models=tuple(models))
        moved = every.moved(norms)
        kept = {name: group_and_model(name) for name in every.names if moved[name]}
        groups = {group for group, _ in kept.values()}
        return Groups(
            tuple(kept),
            {tensor: group for tensor, group in self.of.items() if group in groups},
            {name: self.ranges[group] for name, (group, _) in kept.items()},
            {
                name: {number_name(knot, model): weight for knot, weight in self.knots[group].items()}
                for name, (group, model) in kept.items()
                if group in self.knots
            },
            tuple(name for name in self.names if name not in groups),
            tuple(models),
            tuple(frozenset(tensor for tensor in self.of if not of_model[tensor]) for of_model in norms),
        )

    def numbers(self, model: int) -> dict[str, str]:
        """The number of every tensor in one of the models, as far as the two are not known to be equal there."""
        name = self.models[model]
        return {t: number_name(group, name) for t, group in self.of.items() if t not in self.equal[model]}

    def shares_of(self, ratios: Mapping[str, float]) -> dict[str, tuple[float, ...]]:
        """The share of every aligned model in every tensor, from the numbers; 0 where it is equal to base."""
        by_model = [self.numbers(model) for model in range(len(self.models))]
        return {
            tensor: tuple(ratios[numbers[tensor]] if tensor in numbers else 0.0 for numbers in by_model)
            for tensor in self.of
        }

    def by_group(self, ratios: Mapping[str, float]) -> dict[str, tuple[float, ...]]:
        """The share of every aligned model in every group, from the numbers; 0 where it is equal to base."""
        groups = dict.fromkeys(group_and_model(name)[0] if len(self.models) > 1 else name for name in self.names)
        return {group: tuple(ratios.get(number_name(group, model), 0.0) for model in self.models) for group in groups}

    def everywhere(self, shares: Sequence[float]) -> dict[str, float]:
        """The numbers of a merge that has the same shares in all groups, one for each aligned model."""
        by_model = dict(zip(self.models, shares, strict=True))
        several = len(self.models) > 1
        return {name: by_model[group_and_model(name)[1] if several else ""] for name in self.names}

    def alone(self, end: int) -> dict[str, float]:
        """The numbers of one endpoint: 0 for base, from 1 on the aligned models."""
        return self.everywhere([float(number == end) for number in range(1, len(self.models) + 1)])

    def moved(self, norms: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """How far the aligned model of every number is from base in its group (Euclidean).

        Args:
            norms: Of every aligned model, how far each tensor is from base (`Pair.moves`).
        """
        far: dict[str, list[float]] = {name: [] for name in self.names}
        for model, of_model in zip(self.models, norms, strict=True):
            for tensor, group in self.of.items():
                if (name := number_name(group, model)) in far:
                    far[name].append(of_model[tensor])
        return {name: math.hypot(*of_one) for name, of_one in far.items()}
