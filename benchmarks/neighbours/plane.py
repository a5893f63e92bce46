"""Models, the way from base to each, and a search of each: points with their scores on both splits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ama_ray.pareto.hypervolume import non_dominated
from benchmarks.front.contestants import CONTESTANTS
from testing.landscape import Landscape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ama_ray.scores.trial import Scores


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
    rewards: np.ndarray


def line(aligned: str, cache: Path, points: int) -> list[Point]:
    """The uniform points from base to an aligned model, evenly; the last one is the model itself."""
    landscape = Landscape(aligned, "per-layer", cache)
    return [_point(landscape, dict.fromkeys(landscape.groups, i / (points - 1))) for i in range(points)]


def searched(aligned: str, cache: Path, trials: int, seed: int) -> list[Point]:
    """The front, on the search split, of a search with `ama_ray`'s sampler; in order of reward."""
    landscape = Landscape(aligned, "per-layer", cache)
    contestant = CONTESTANTS["ama_ray"](landscape, seed)
    tried = []
    for _ in range(trials):
        ratios = contestant.ask()
        contestant.tell(ratios, landscape.scores(ratios, "search"))
        tried.append(_point(landscape, ratios))
    values = np.array([[value(p.search, "reward"), -value(p.search, "tax")] for p in tried])
    front = [point for point, kept in zip(tried, non_dominated(values), strict=True) if kept]
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
