"""What a run would recommend after a search, on a landscape of two splits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from ama_ray.pareto.named_points import knee
from ama_ray.scores.objectives import Objectives
from ama_ray.scores.terms import ProbeTerm, RewardTerm
from testing.recommendation import recommended

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ama_ray.config import Split
    from ama_ray.scores.objectives import Items

ITEMS = 60
UNIFORM = [i / 10 for i in range(11)]


class Made:
    """Reward comes from the first group, and tax from the second one; the report has other items, and no noise."""

    groups = ("a", "b")
    objectives = Objectives((RewardTerm("reward", "reward", 1.0, 0),), (ProbeTerm("arc", "reasoning", "mean"),))

    def __init__(self) -> None:
        self.asked: list[tuple[Split, dict[str, float]]] = []

    def items(self, ratios: Mapping[str, float], split: Split) -> Items:
        self.asked.append((split, dict(ratios)))
        reward, tax = 4 * ratios["a"] ** 0.5, 0.8 * ratios["b"]
        lucky = 0.3 * np.random.default_rng(round(1e6 * ratios["a"])).normal() if split == "search" else 0.0
        common: NDArray[np.float64] = np.random.default_rng(split == "report").normal(size=(ITEMS, 1))
        return {"reward": reward + lucky + common, "arc": (np.arange(ITEMS)[:, None] >= tax * ITEMS).astype(float)}


def points(count: int) -> list[dict[str, float]]:
    draw = np.random.default_rng(count)
    ends = [{"a": ratio, "b": ratio} for ratio in (0.0, 1.0, 0.5)]
    return [*ends, *(dict(zip("ab", draw.uniform(0.05, 0.9, 2).tolist(), strict=True)) for _ in range(count))]


def test_candidates_are_scored_again_beside_the_eleven_uniform_points() -> None:
    landscape = Made()
    pareto = recommended(landscape, points(30))
    assert pareto.split == "report"
    assert [trial.uniform_ratio for trial in pareto.uniform] == UNIFORM
    assert 0 < len(pareto.scored) - len(UNIFORM) <= 10
    again = [ratios for split, ratios in landscape.asked if split == "report"]
    assert len(again) == len(pareto.scored) == len({tuple(each.values()) for each in again})
    for trial in pareto.scored:
        base = landscape.items({"a": 0.0, "b": 0.0}, "report")
        assert trial.report == landscape.objectives.scores(landscape.items(trial.ratios, "report"), base)


def test_front_and_knee_are_those_of_the_report() -> None:
    pareto = recommended(Made(), points(30))
    # No reward of the report has luck, so that what is best there is best.
    heights = {t.number: t.ratios["a"] ** 0.5 - t.ratios["b"] for t in pareto.scored}
    top = knee(pareto)
    assert top
    assert heights[top.number] == pytest.approx(max(heights.values()), abs=1 / ITEMS)
    # Of uniform points and others, those that are beaten in both by far are off the front.
    better = [t for t in pareto.scored if t.ratios["a"] > 0.35 and t.ratios["b"] < 0.25]
    assert better
    assert 0.3 not in [t.uniform_ratio for t in pareto.front]


def test_a_search_without_base_and_aligned_is_reported_like_any_other() -> None:
    pareto = recommended(Made(), points(30)[3:])
    assert [trial.uniform_ratio for trial in pareto.uniform] == UNIFORM
    assert pareto.no_trade == ""
    assert len(pareto.scored) > len(UNIFORM)
