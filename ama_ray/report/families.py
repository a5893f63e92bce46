"""The families of a run's probes, and what each cost."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ama_ray.comparison import families
from ama_ray.objectives import Objectives
from ama_ray.trial import Estimate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ama_ray.pareto import ParetoSet
    from ama_ray.trial import Scores


def members(pareto: ParetoSet, names: Iterable[str]) -> dict[str, list[str]]:
    """The names of the probes of every family; each probe by itself where the run file is not known.

    Args:
        pareto: The run.
        names: Of the probes that have scores; a family that lacks one is left out.
    """
    known = set(names)
    if pareto.config is None:
        return {name: [name] for name in names}
    found = families(Objectives.of(pareto.config))
    return {family: probes for family, probes in found.items() if known.issuperset(probes)}


def family_tax(scores: Scores, probes: Sequence[str]) -> Estimate:
    """The mean tax of probes, their errors added as those of independent estimates; NaN where the scores lack one."""
    results = [scores.probes[name] for name in probes if name in scores.probes]
    if len(results) < len(probes):
        return Estimate()
    error = math.hypot(*(result.tax_se for result in results)) / len(results)
    return Estimate(math.fsum(result.tax for result in results) / len(results), error)
