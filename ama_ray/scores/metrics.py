"""Metrics as functions of sums over items, so that every estimate has a standard error by the same rule."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ama_ray.scores.sacrebleu_internals import score_of_sums

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
    """

    of_sums: Callable[[Any, float], Any]
    higher_is_better: bool = True
    bounded: bool = True

    def score(self, items: NDArray[np.float64]) -> float:
        """The score of items, shape (items, k)."""
        return float(self.of_sums(items.sum(axis=0), len(items)))

    def without_each(self, items: NDArray[np.float64]) -> NDArray[np.float64]:
        """The score without each of the items in turn, shape (items,), for the jackknife; NaN for a single item."""
        if len(items) < 2:
            return np.full(len(items), np.nan)
        return np.asarray(self.of_sums(items.sum(axis=0) - items, len(items) - 1), dtype=np.float64)

    def standard_error(self, items: NDArray[np.float64]) -> float:
        """The jackknife standard error of the score of items, shape (items, k)."""
        return jackknife(self.without_each(items))


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
    "mean": Metric(_mean),
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
