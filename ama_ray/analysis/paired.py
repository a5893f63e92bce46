"""How far apart models are, item by item: the standard errors of all their differences at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ama_ray.scores.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ama_ray.scores.metrics import Metric
    from ama_ray.scores.objectives import Items, Objectives

    Matrix = NDArray[np.float64]


def paired_errors(objectives: Objectives, models: Sequence[Items]) -> dict[str, Matrix]:
    """The standard error of the difference of every two models in each objective, paired item by item.

    The same as that of `Objectives.scores` with one of them in the place of base, and so it knows about few items.

    Args:
        objectives: Of the run.
        models: Items of every model, the same items in the same order.

    Returns:
        By objective, shape (models, models); NaN where a source has a single item.
    """
    errors: dict[str, Matrix] = {}
    for name in objectives.names[:-1]:
        sets = zip(*(objectives.by_prompt(name, items) for items in models), strict=True)
        errors[name] = np.sqrt(sum(_of_means(np.array(parts)) for parts in sets))
    weights = objectives.weights()
    errors["tax"] = np.sqrt(
        sum(
            weights[term.name] ** 2 * _of_metric(METRICS[term.metric], [items[term.name] for items in models])
            for term in objectives.probes
        )
    )
    return errors


def _of_metric(metric: Metric, models: Sequence[Matrix]) -> Matrix:
    if not metric.of_bounded_items:
        without = np.array([metric.without_each(items) for items in models])
        # The jackknife's variance of a difference is the sum of squares of the models' distance.
        return _squares(without) * ((without.shape[1] - 1) / without.shape[1])
    values = np.array([items[:, 0] for items in models])
    count = values.shape[1]
    if count < 2:
        return _of_means(values)
    means = values.mean(axis=1)
    # With one more -1 and one more 1, which draw the mean of the differences towards 0.
    squares = _squares(values) + 2 + (means[:, None] - means) ** 2 * 2 * count / (count + 2)
    return squares / ((count + 1) * (count + 2))


def _of_means(values: Matrix) -> Matrix:
    """The variance of differences of means, from values of shape (models, items)."""
    count = values.shape[1]
    if count < 2:
        return np.full((len(values), len(values)), np.nan)
    return _squares(values) / (count * (count - 1))


def _squares(values: Matrix) -> Matrix:
    """The sums of squares of the differences, about their means, of values of shape (models, items)."""
    centred = values - values.mean(axis=1, keepdims=True)
    products = centred @ centred.T
    own = products.diagonal()
    return np.maximum(own[:, None] + own - 2 * products, 0)
