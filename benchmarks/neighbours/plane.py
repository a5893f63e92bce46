"""Models, the way from base to each, and a search of each: points with their scores on both splits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ama_ray.pareto.hypervolume import non_dominated
from benchmarks.front.contestants import CONTESTANTS
from testing.landscape import Landscape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from ama_ray.scores.trial import Scores


POINTS = 11
"""Of a uniform line."""


@dataclass(frozen=True)
class Point:
    """One merge.

    Attributes:
        ratios: By group.
        search: Scores on the search split.
        report: Scores on the report split.
        rewards: Of every prompt of the report split.
    """

    ratios: Mapping[str, float]
    search: Scores
    report: Scores
    rewards: NDArray[np.float64]


def line_and_front(aligned: str, cache: Path, trials: int, seed: int) -> tuple[list[Point], list[Point]]:
    """The uniform points from base to an aligned model, and the front of a search of its pair.

    Args:
        aligned: Name of a bundled model, or the absolute path of another.
        cache: Folder of what was scored before.
        trials: Of the search.
        seed: Of the search.

    Returns:
        The uniform points, evenly, of which the last is the model itself; and the front on the search split, in order
        of reward.
    """
    torch.set_num_threads(1)
    landscape = Landscape(aligned, "per-layer", cache)
    line = [_point(landscape, dict.fromkeys(landscape.groups, i / (POINTS - 1))) for i in range(POINTS)]
    return line, _searched(landscape, trials, seed)


def _searched(landscape: Landscape, trials: int, seed: int) -> list[Point]:
    contestant = CONTESTANTS["ama_ray"](landscape, seed)
    tried = []
    for _ in range(trials):
        ratios = contestant.ask()
        contestant.tell(ratios, landscape.scores(ratios, "search"))
        tried.append(ratios)
    scores = [landscape.scores(ratios, "search") for ratios in tried]
    values = [[value(each, "reward"), value(each, "tax")] for each in scores]
    front = [_point(landscape, ratios) for ratios, kept in zip(tried, non_dominated(values), strict=True) if kept]
    return sorted(front, key=lambda point: value(point.search, "reward"))


def best(points: Sequence[Point], tax: float) -> Point:
    """Of the points whose tax on the search split is at most this, the one with the most reward there.

    Base has no tax: there always is one.
    """
    allowed = [point for point in points if value(point.search, "tax") <= tax]
    return max(allowed, key=lambda point: value(point.search, "reward"))


def gain(one: Point, other: Point) -> tuple[float, float]:
    """How much more reward, and its standard error, paired by prompt; on the report split."""
    difference = one.rewards - other.rewards
    return float(difference.mean()), float(difference.std(ddof=1) / len(difference) ** 0.5)


def value(scores: Scores, name: str) -> float:
    """Of an objective, `reward` or `tax`."""
    return scores.objectives[name].value


def _point(landscape: Landscape, ratios: Mapping[str, float]) -> Point:
    search, report = (landscape.scores(ratios, split) for split in ("search", "report"))
    return Point(ratios, search, report, landscape.items(ratios, "report")["reward"][:, 0])
