"""Families of probes: which probe is in which, and the mean over the probes of one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

from ama_ray.scores.trial import Estimate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from ama_ray.scores.terms import ProbeTerm
    from ama_ray.scores.trial import Scores

    Values = TypeVar("Values", float, NDArray[np.float64], Tensor)


def families(probes: Iterable[ProbeTerm]) -> dict[str, tuple[str, ...]]:
    """The names of the probes of every family, in the order of the run file."""
    found: dict[str, tuple[str, ...]] = {}
    for term in probes:
        found[term.family] = (*found.get(term.family, ()), term.name)
    return found


def family_mean(by_probe: Mapping[str, Values], members: Sequence[str]) -> Values:
    """The mean over the probes of a family, each with the same weight."""
    first, *others = (by_probe[name] for name in members)
    total = first
    for each in others:
        total = total + each
    return total / len(members)


def family_scores(scores: Scores, members: Sequence[str]) -> Estimate:
    """The mean score of the probes of a family; see `family_estimate`."""
    return family_estimate({name: Estimate(each.score, each.score_se) for name, each in scores.probes.items()}, members)


def family_tax(scores: Scores, members: Sequence[str]) -> Estimate:
    """The mean tax of the probes of a family; see `family_estimate`."""
    return family_estimate({name: Estimate(each.tax, each.tax_se) for name, each in scores.probes.items()}, members)


def family_estimate(by_probe: Mapping[str, Estimate], members: Sequence[str]) -> Estimate:
    """The mean over the probes of a family, their errors added as those of independent estimates.

    Returns:
        The mean and its standard error; NaN where a probe of the family is missing.
    """
    if any(name not in by_probe for name in members):
        return Estimate()
    value = family_mean({name: by_probe[name].value for name in members}, members)
    return Estimate(value, math.hypot(*(by_probe[name].se for name in members)) / len(members))
