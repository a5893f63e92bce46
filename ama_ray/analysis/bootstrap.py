"""Points of a run compared item by item: the paired bootstrap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ama_ray.scores.families import families, family_mean
from ama_ray.scores.interval import Interval, expansion
from ama_ray.scores.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from ama_ray.scores.interval import Draws
    from ama_ray.scores.objectives import Items, Objectives

_BLOCK = 2_000_000
"""Numbers of draws that are held at once."""


@dataclass(frozen=True)
class Comparison:
    """One model minus another, each difference with its 95% interval.

    Attributes:
        objectives: By name: the rewards, then `tax`, in their own units.
        families: By name: the mean over the family's probes of the difference in score.
        probes: By name: the difference in score, in the probe's metric.
    """

    objectives: dict[str, Interval]
    families: dict[str, Interval]
    probes: dict[str, Interval]


@dataclass(frozen=True)
class Resampled:
    """A model's scores on the items as they are and on resamples of them; arrays of shape (1 + resamples,).

    Attributes:
        objectives: By name; `tax` without what base adds to it, which is the same for every model.
        families: By name.
        probes: By name.
    """

    objectives: dict[str, Draws]
    families: dict[str, Draws]
    probes: dict[str, Draws]

    def minus(self, other: Resampled) -> Comparison:
        """Compares with another model that was resampled alongside."""

        def differences(ours: dict[str, Draws], theirs: dict[str, Draws]) -> dict[str, Interval]:
            return {name: _interval(ours[name] - theirs[name]) for name in ours}

        return Comparison(
            differences(self.objectives, other.objectives),
            differences(self.families, other.families),
            differences(self.probes, other.probes),
        )


def compare(objectives: Objectives, a: Items, b: Items, *, seed: int = 0, resamples: int = 2000) -> Comparison:
    """Compares two models item by item: `a` minus `b`, with 95% intervals of the paired bootstrap.

    Efron's percentile bootstrap: the items of every probe, and the prompts of every reward, are drawn again with
    replacement, the same ones for both models, and the ends are the 2.5th and the 97.5th percentile of the difference.
    Replies to a prompt stay together. The tax of both is against the same base, which cancels out, so that it is not
    needed here. `resample` says how few items are allowed for.

    Args:
        objectives: Of the run.
        a: Items of one model.
        b: Of the other one, the same items in the same order.
        seed: Of the resampling.
        resamples: How many.
    """
    ours, theirs = resample(objectives, [a, b], seed=seed, resamples=resamples)
    return ours.minus(theirs)


def resample(
    objectives: Objectives, models: Sequence[Items], *, seed: int = 0, resamples: int = 2000
) -> list[Resampled]:
    """Scores models on the items as they are and on resamples, the same ones for every model; see `compare`.

    Resamples of few items vary too little, and those of 16 right answers not at all. So scores of bounded items vary
    by `1 / (items + 2)` more, each model's by itself: of one model's score that is the variance of one more 0 and one
    more 1, of the difference of two that of one more -1 and one more 1, the rule of `Metric.paired_error`. All else is
    expanded, so that the percentiles of a mean are the ends of Student's interval (Hesterberg 2015, What teachers
    should know about the bootstrap: the expanded percentile interval).

    Args:
        objectives: Of the run.
        models: Items of every model, the same items in the same order.
        seed: Of the resampling.
        resamples: How many.
    """
    draw, noise = np.random.default_rng(seed), np.random.default_rng((seed, 1))

    def scores(metric: str, parts: Sequence[NDArray[np.float64]], *, bounded: bool = True) -> NDArray[np.float64]:
        stacked = np.stack(parts, axis=1)  # items, models, k
        count = len(stacked)
        sums = np.concatenate([np.tensordot(rows, stacked, axes=1) for rows in _weights(draw, count, resamples)])
        with np.errstate(invalid="ignore", divide="ignore"):
            values: NDArray[np.float64] = np.asarray(METRICS[metric].of_sums(sums, count), dtype=np.float64).T
        if count < 2:
            values[:, 1:] = np.nan  # one item says nothing of the spread
        elif METRICS[metric].of_bounded_items and bounded:
            values[:, 1:] += noise.normal(size=(len(parts), resamples)) / (count + 2)
        else:
            values[:, 1:] += (expansion(count) - 1) * (values[:, 1:] - values[:, :1])
        return values

    names, weights = objectives.names, objectives.weights()
    zero = np.zeros((len(models), 1 + resamples))
    by_name = dict.fromkeys(names, zero)
    for name in names[:-1]:
        for parts in zip(*(objectives.by_prompt(name, items) for items in models), strict=True):
            by_name[name] = by_name[name] + scores("mean", [part[:, None] for part in parts], bounded=False)
    probes = {term.name: scores(term.metric, [items[term.name] for items in models]) for term in objectives.probes}
    for term in objectives.probes:
        by_name["tax"] = by_name["tax"] + weights[term.name] * term.tax_of(probes[term.name], 0.0)
    by_family = {family: family_mean(probes, members) for family, members in families(objectives.probes).items()}

    def of(model: int, tables: Mapping[str, NDArray[np.float64]]) -> dict[str, Draws]:
        return {name: table[model] for name, table in tables.items()}

    return [Resampled(of(i, by_name), of(i, by_family), of(i, probes)) for i in range(len(models))]


def _weights(draw: np.random.Generator, count: int, resamples: int) -> Iterator[NDArray[np.float64]]:
    """How often each item counts, shape (some resamples, items): once, then in every resample."""
    yield np.ones((1, count))
    block = max(1, _BLOCK // count)
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        yield draw.multinomial(count, np.full(count, 1 / count), size=size).astype(np.float64)


def _interval(draws: Draws) -> Interval:
    return Interval.of_draws(float(draws[0]), draws[1:])
