"""Metrics as functions of sums over items, so that every estimate has a standard error by the same rule."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ama_ray.scores.interval import Interval
from ama_ray.scores.sacrebleu_internals import score_of_sums
from ama_ray.scores.trial import Estimate

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ama_ray.scores.sacrebleu_internals import CorpusMetric


@dataclass(frozen=True)
class Metric:
    """A benchmark's metric.

    Attributes:
        of_sums: From sums of the items' statistics, shape (..., k), and the number of items, to the score, shape (...).
        higher_is_better: Whether a higher score is the better one.
        bounded: Whether scores lie between 0 and 1.
        of_bounded_items: Whether it is the mean of items between 0 and 1, so that errors can know about few items.
    """

    of_sums: Callable[[Any, float], Any]
    higher_is_better: bool = True
    bounded: bool = True
    of_bounded_items: bool = False

    def score(self, items: NDArray[np.float64]) -> float:
        """The score of items, shape (items, k)."""
        return float(self.of_sums(items.sum(axis=0), len(items)))

    def without_each(self, items: NDArray[np.float64]) -> NDArray[np.float64]:
        """The score without each of the items in turn, shape (items,), for the jackknife; NaN for a single item."""
        if len(items) < 2:
            return np.full(len(items), np.nan)
        return np.asarray(self.of_sums(items.sum(axis=0) - items, len(items) - 1), dtype=np.float64)

    def standard_error(self, items: NDArray[np.float64]) -> float:
        """The standard error of the score of items, shape (items, k); NaN for a single item.

        Of a mean of items between 0 and 1 it is that of the items with one more 0 and one more 1: 16 right ones of 16
        do not say that all others will be right (Agresti and Coull 1998, Approximate is better than "exact"). Of every
        other metric it is the jackknife's, as no item is an extreme one of a corpus or of a logarithm.
        """
        if self.of_bounded_items:
            return mean_error(items[:, 0], (0.0, 1.0))
        return jackknife(self.without_each(items))

    def paired_error(self, items: NDArray[np.float64], base: NDArray[np.float64]) -> float:
        """The standard error of the difference of two models' scores, item by item; NaN for a single item.

        Of a mean of items between 0 and 1 it is that of the differences with one more -1 and one more 1 (Bonett and
        Price 2012, Adjusted Wald confidence interval for a difference of binomial proportions based on paired data);
        of every other metric the jackknife's.

        Args:
            items: Of one model, shape (items, k).
            base: Of the other one, the same items in the same order.
        """
        if self.of_bounded_items:
            return mean_error(items[:, 0] - base[:, 0], (-1.0, 1.0))
        return jackknife(self.without_each(base) - self.without_each(items))

    def interval(self, items: NDArray[np.float64]) -> Interval:
        """The score of items, shape (items, k), with its 95% interval.

        Wilson's for items that are 0 or 1; else 1.96 standard errors to both sides, within 0 and 1 where scores are.
        """
        score = self.score(items)
        if self.of_bounded_items and len(items) and np.isin(items, (0.0, 1.0)).all():
            return Interval.of_share(score, len(items))
        found = Interval.normal(Estimate(score, self.standard_error(items)))
        return Interval(score, max(found.low, 0.0), min(found.high, 1.0)) if self.bounded and len(items) > 1 else found


def _mean(sums: Any, count: float) -> Any:
    return sums[..., 0] / count


def _perplexity(sums: Any, count: float) -> Any:
    return np.exp(sums[..., 0] / sums[..., 1])


def _bits_per_byte(sums: Any, count: float) -> Any:
    return sums[..., 0] / sums[..., 1] / np.log(2)


def _ratio(sums: Any, count: float) -> Any:
    return sums[..., 0] / sums[..., 1]


def _calibration(sums: Any, count: float) -> Any:
    return np.abs(sums).sum(axis=-1) / count


def _corpus(name: CorpusMetric, sums: Any, count: float) -> Any:
    return np.apply_along_axis(lambda each: score_of_sums(name, each.tolist()) / 100, -1, sums)


METRICS: dict[str, Metric] = {
    "mean": Metric(_mean, of_bounded_items=True),
    "calibration": Metric(_calibration, higher_is_better=False),
    "bleu": Metric(partial(_corpus, "bleu")),
    "chrf": Metric(partial(_corpus, "chrf")),
    "perplexity": Metric(_perplexity, higher_is_better=False, bounded=False),
    "bits-per-byte": Metric(_bits_per_byte, higher_is_better=False, bounded=False),
    "kl": Metric(_ratio, higher_is_better=False, bounded=False),
}
"""By name. The statistics of an item: `mean`, its score; `calibration`, whether it is right less its confidence, in
the column of the bin of its confidence, and 0 in the others; `bleu` and `chrf`, the counts and lengths that sacrebleu
sums over segments, in its order; `perplexity`, negative log-likelihood (nats) and tokens; `bits-per-byte`, negative
log-likelihood (nats) and bytes; `kl`, summed divergence (nats) and positions."""


def mean_error(values: NDArray[np.float64], extremes: tuple[float, ...] = ()) -> float:
    """The standard error of a mean.

    Args:
        values: Shape (items,).
        extremes: Values that are added for the error alone; the mean stays that of the items.

    Returns:
        NaN for a single item, whatever is added to it.
    """
    if len(values) < 2:
        return math.nan
    known = np.append(values, extremes)
    return float(known.std(ddof=1)) / math.sqrt(len(known))


def jackknife(without_each: NDArray[np.float64]) -> float:
    """The jackknife standard error of an estimate; of a mean, exactly its usual standard error.

    Args:
        without_each: The estimate without each item in turn. NaN for a single item.
    """
    count = len(without_each)
    if count < 2:
        return float("nan")
    deviations = without_each - without_each.mean()
    return float(np.sqrt((count - 1) / count * (deviations**2).sum()))
