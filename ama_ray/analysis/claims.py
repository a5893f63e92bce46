"""`Claims`: what is said of a run beside its points, each with a 95% interval that knows of the choice."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, get_args

from ama_ray.analysis.paired import paired_errors
from ama_ray.analysis.resampled_trade import ResampledTrade
from ama_ray.pareto.named_points import best_uniform, knee, twin
from ama_ray.scores.interval import QUANTILE, Interval
from ama_ray.scores.sacrebleu_internals import CorpusMetric
from ama_ray.scores.tokens import TOKENS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ama_ray.pareto.pareto_set import ParetoSet
    from ama_ray.scores.objectives import Items, Objectives

RESAMPLES = 2000
FEWER = 300
"""Resamples where hypervolumes, of several rewards, or the scores of a corpus are computed one by one."""
_UNKNOWN = Interval(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Claims:
    """What is said of a run on one split.

    Hypervolumes and shares are of the points that were chosen: what these truly win. All are NaN without a trade.

    Attributes:
        hypervolume: Normalised hypervolume of the front.
        uniform: That of the uniform front.
        difference: The first minus the second.
        knee: How far the knee is from base (0) to aligned (1), by objective; empty without a knee.
        beside: The same of the uniform point with the highest reward at no more tax; empty without one.
        over_twin: How much more of every objective the knee has than its twin, the uniform point of the same mean
            ratio; empty where that was not scored.
        gain: The knee's share of the reward that aligned won, minus that of the uniform point beside it.
        again: Hypervolume of the points that the search's front had, on the report split.
        on_front: By trial, the share of resamples in which no other one beats it (0-1).
        groups: The front, its points together that do not differ beyond error in any objective, paired; in the order of
            the front.
    """

    hypervolume: Interval = _UNKNOWN
    uniform: Interval = _UNKNOWN
    difference: Interval = _UNKNOWN
    knee: Mapping[str, Interval] = field(default_factory=dict)
    beside: Mapping[str, Interval] = field(default_factory=dict)
    over_twin: Mapping[str, Interval] = field(default_factory=dict)
    gain: Interval = _UNKNOWN
    again: Interval = _UNKNOWN
    on_front: Mapping[int, float] = field(default_factory=dict)
    groups: tuple[tuple[int, ...], ...] = ()

    @classmethod
    def of(
        cls,
        pareto: ParetoSet,
        objectives: Objectives,
        items: Mapping[int, Items],
        searched: Sequence[int] = (),
        *,
        resamples: int | None = None,
        seed: int = 0,
    ) -> Claims:
        """Resamples the items of a run.

        Which trials satisfy the constraints is decided by all items.

        Args:
            pareto: The run on one split.
            objectives: Of the run.
            items: Of every trial among `pareto.scored` on that split, by its number.
            searched: Numbers of the points that the search's front had, where the split is the report split.
            resamples: How many; by default 2000, or 300 with several rewards, BLEU or chrF.
            seed: Of the resampling.
        """
        if not pareto.scored:
            return cls()
        one_by_one = len(pareto.objectives) > 2 or any(
            term.metric in get_args(CorpusMetric) for term in objectives.probes
        )
        count = resamples or (FEWER if one_by_one else RESAMPLES)
        drawn = ResampledTrade(pareto, objectives, items, resamples=count, seed=seed)
        of_points = cls(on_front=drawn.on_front(), groups=groups(pareto, objectives, items))
        top = knee(pareto)
        if top is None:
            return of_points
        best = best_uniform(pareto, top)
        names = pareto.objectives
        place = None if best is None or best.number == top.number else drawn.numbers.index(best.number)
        here = drawn.numbers.index(top.number)
        at_knee, beside, gain = drawn.shares_at_knee(here, place)
        like = twin(pareto, top)
        over_twin = drawn.knee_minus(here, drawn.numbers.index(like.number)) if like else []
        front, uniform, difference = drawn.volumes()
        return replace(
            of_points,
            hypervolume=front,
            uniform=uniform,
            difference=difference,
            knee=dict(zip(names, at_knee, strict=True)),
            beside=dict(zip(names, beside, strict=True)) if beside else {},
            over_twin=_in_units(names, over_twin) if like else {},
            gain=gain,
            again=drawn.volume_of(searched) if searched else _UNKNOWN,
        )

    def group(self, number: int) -> str:
        """The letter of the group of a point: a, ..., z, aa, ...; empty for one that is alone or off the front."""
        several = [members for members in self.groups if len(members) > 1]
        return next((_letters(i) for i, members in enumerate(several) if number in members), "")

    def alike(self, number: int) -> tuple[int, ...]:
        """The other points of the group of a point of the front."""
        for members in self.groups:
            if number in members:
                return tuple(member for member in members if member != number)
        return ()


def _in_units(names: Sequence[str], turned: Sequence[Interval]) -> dict[str, Interval]:
    """Differences by objective; more tokens are more."""
    known = dict(zip(names, turned, strict=True))
    if TOKENS in known:
        saved = known[TOKENS]
        known[TOKENS] = Interval(-saved.value, -saved.high, -saved.low)
    return known


def groups(pareto: ParetoSet, objectives: Objectives, items: Mapping[int, Items]) -> tuple[tuple[int, ...], ...]:
    """The points of a front that do not differ beyond error, together.

    Along the front, a point joins the group before it if it differs from none of its members by more than 1.96 paired
    standard errors in any objective. What is near need not be the same, so that a group is what one cannot tell apart
    and not what is equal.

    Args:
        pareto: The run on one split.
        objectives: Of the run.
        items: Of every trial of the front on that split, by its number.
    """
    front = pareto.front
    errors = paired_errors(objectives, [items[trial.number] for trial in front]) if front else {}

    def differ(i: int, j: int) -> bool:
        one, other = front[i].objectives, front[j].objectives
        return any(
            abs(one[name].value - other[name].value) > QUANTILE * float(errors[name][i, j])
            for name in pareto.objectives
        )

    found: list[list[int]] = []
    for i in range(len(front)):
        if found and not any(differ(i, member) for member in found[-1]):
            found[-1].append(i)
        else:
            found.append([i])
    return tuple(tuple(front[i].number for i in members) for members in found)


def _letters(position: int) -> str:
    more, last = divmod(position, 26)
    return (_letters(more - 1) if more else "") + chr(ord("a") + last)
