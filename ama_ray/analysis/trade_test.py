"""`TradeTest`: whether aligned won reward and lost benchmarks beyond error, and how many items would show it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ama_ray.analysis.precision import Precision
from ama_ray.scores.interval import Interval
from ama_ray.scores.metrics import METRICS, mean_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ama_ray.scores.objectives import Items, Objectives
    from ama_ray.scores.terms import ProbeTerm

    Verdict = Literal["clear", "unclear", "reversed"]

SIZES = (0.01, 0.02, 0.05)
"""Differences whose numbers of items are told: of a tax in points (0-1), of a reward in shares of its range."""
SAME = 1e-9
"""The largest standard error of differences that are all the same, as a share of them: what is left by rounding."""
DISAGREEING = 0.1
"""The share of items that two models answer differently, where nobody has asked them yet: a guess."""


@dataclass(frozen=True)
class PairedDifference:
    """What aligned won or lost against base in one objective or probe, paired item by item.

    Attributes:
        name: Of the objective or probe.
        value: Of a reward, aligned minus base; of the tax and of a probe, how much worse aligned is.
        precision: Its standard error, its degrees of freedom and its numbers of items.
        scale: What `SIZES` are shares of: the range of the rewards seen, from the lowest to the highest prompt of both
            models; 1 for a tax, which has the points of its metric.
    """

    name: str
    value: float
    precision: Precision
    scale: float = 1.0

    @property
    def se(self) -> float:
        """The standard error of `value`."""
        return self.precision.se

    @property
    def interval(self) -> Interval:
        """The 95% interval of Student's t; its ends are NaN where there is a single item."""
        reach = self.precision.quantile * self.se
        return Interval(self.value, self.value - reach, self.value + reach)

    @property
    def verdict(self) -> Verdict:
        """`clear` where it is above 0 beyond error, `reversed` where it is below 0 beyond error, else `unclear`."""
        if self.interval.low > 0:
            return "clear"
        return "reversed" if self.interval.high < 0 else "unclear"

    @property
    def sizes(self) -> dict[str, float]:
        """The differences whose numbers of items are told, by what they are called: that seen, and `SIZES`."""
        return {"seen": self.value} | {f"{size:g}": size * self.scale for size in SIZES}


@dataclass(frozen=True)
class TradeTest:
    """The paired test of base against aligned.

    Attributes:
        gains: What aligned won of every reward objective, in the order of the run file.
        tax: What it lost on the probes: the mean over families of the mean over their probes.
        probes: What it lost on each probe.
    """

    gains: tuple[PairedDifference, ...]
    tax: PairedDifference
    probes: tuple[PairedDifference, ...]

    @property
    def parts(self) -> tuple[PairedDifference, ...]:
        """What must be above 0 for a trade: the gain of every reward objective, and the tax."""
        return (*self.gains, self.tax)

    @property
    def intervals(self) -> dict[str, Interval]:
        """What aligned won and lost with 95% intervals, by objective."""
        return {part.name: part.interval for part in self.parts}

    @property
    def missing(self) -> tuple[PairedDifference, ...]:
        """Those of them that are not above 0 beyond error."""
        return tuple(part for part in self.parts if part.verdict != "clear")

    @property
    def clear(self) -> bool:
        """Whether aligned raised every reward objective and costs a tax, each beyond error: there is a trade."""
        return not self.missing

    @classmethod
    def of(cls, objectives: Objectives, base: Items, aligned: Items) -> TradeTest:
        """Tests two models.

        A reward objective is compared prompt by prompt, after the replies of a prompt were averaged. The errors are
        those of the run (`Metric.paired_error`), with one exception: differences that are all the same get one more of
        that size and one of the opposite sign, so that few items that agree are not taken for certainty. Sources are
        added as independent ones, with the degrees of freedom of Welch and Satterthwaite.

        Args:
            objectives: What the objectives are made of.
            base: Items of base.
            aligned: Those of aligned, the same items in the same order.
        """
        gains = tuple(_gain(objectives, name, base, aligned) for name in objectives.reward_names)
        taxes = {term.name: _tax(term, base[term.name], aligned[term.name]) for term in objectives.probes}
        weights = objectives.weights()
        value = math.fsum(weights[name] * tax.value for name, tax in taxes.items())
        precision = _sum({name: (weights[name], tax.precision) for name, tax in taxes.items()})
        return cls(gains, PairedDifference("tax", value, precision), tuple(taxes.values()))


def expected(objectives: Objectives, sizes: Mapping[str, int]) -> dict[str, Precision]:
    """How precise the test will be, from the numbers of prompts and items alone.

    The scores of a probe between 0 and 1 are taken to differ on one item in ten (`DISAGREEING`); how far items of other
    metrics differ is not known before. Nor is it for a reward: its precision is in standard deviations of the paired
    difference of a prompt.

    Args:
        objectives: What the objectives are made of.
        sizes: How many prompts or items there are, by name of the reward or probe, as far as that is known.

    Returns:
        By name of every reward objective, of `tax` and of every probe; with a variance of NaN where it is not known,
        and without those whose number of items is not.
    """
    found: dict[str, Precision] = {}
    for name in objectives.reward_names:
        sources = _sources(objectives, name)
        if sizes.keys() >= set(sources):
            found[name] = _sum({source: (1.0, _guess(source, sizes[source], 1.0)) for source in sources})
    probes = {}
    for term in objectives.probes:
        if term.name not in sizes:
            continue
        metric = METRICS[term.metric]
        variance = DISAGREEING if metric.bounded else math.nan
        probes[term.name] = _guess(term.name, sizes[term.name], variance, float(metric.of_bounded_items))
    weights = objectives.weights()
    if probes.keys() == weights.keys():
        found["tax"] = _sum({name: (weights[name], part) for name, part in probes.items()})
    return found | probes


def _guess(source: str, count: int, variance: float, end: float = 0.0) -> Precision:
    """The precision of a mean of differences of this variance, with one more at `end` and one at `-end`."""
    if count < 2:
        return Precision(math.nan, 0, {source: count})
    ends = 2 * end**2 / count**2
    return Precision(variance / count + ends, count - 1, {source: count}, ends)


def _sources(objectives: Objectives, name: str) -> list[str]:
    """The sets of prompts of a reward objective, in the order of `Objectives.by_prompt`, each by its first reward."""
    first: dict[int, str] = {}
    for term in objectives.rewards:
        if term.objective == name:
            first.setdefault(term.prompts, term.name)
    return list(first.values())


def _gain(objectives: Objectives, name: str, base: Items, aligned: Items) -> PairedDifference:
    value, scale, parts = 0.0, 0.0, {}
    models = (objectives.by_prompt(name, items) for items in (base, aligned))
    for source, before, after in zip(_sources(objectives, name), *models, strict=True):
        mean = float((after - before).mean())
        value += mean
        scale += float(max(before.max(), after.max()) - min(before.min(), after.min()))
        parts[source] = (1.0, _precision(source, len(before), mean, mean_error(after - before)))
    return PairedDifference(name, value, _sum(parts), scale)


def _tax(term: ProbeTerm, base: NDArray[np.float64], aligned: NDArray[np.float64]) -> PairedDifference:
    metric = METRICS[term.metric]
    value = float(term.tax_of(metric.score(aligned), metric.score(base)))
    error = metric.paired_error(aligned, base)
    return PairedDifference(term.name, value, _precision(term.name, len(base), value, error))


def _precision(source: str, count: int, value: float, error: float) -> Precision:
    """The precision of a mean of so many paired differences, from its standard error; see `TradeTest.of`."""
    if count < 2:
        return Precision(math.nan, 0, {source: count})
    if error <= SAME * abs(value):
        error = mean_error(np.full(count, value), (value, -value))
    return Precision(error**2, count - 1, {source: count})


def _sum(parts: Mapping[str, tuple[float, Precision]]) -> Precision:
    """The precision of a weighted sum of independent estimates (Welch 1947; Satterthwaite 1946)."""
    variances = {name: weight**2 * part.variance for name, (weight, part) in parts.items()}
    variance = math.fsum(variances.values())
    if variance > 0:
        freedom = variance**2 / math.fsum(variances[name] ** 2 / part.freedom for name, (_, part) in parts.items())
    else:
        freedom = 0.0 if math.isnan(variance) else math.fsum(part.freedom for _, part in parts.values())
    items = {name: count for _, part in parts.values() for name, count in part.items.items()}
    return Precision(variance, freedom, items, math.fsum(weight**2 * part.ends for weight, part in parts.values()))
