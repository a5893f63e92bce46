"""Which points no other beats, and their hypervolume: against loops, optuna, inclusion and exclusion, and darts."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from optuna._hypervolume import compute_hypervolume

from ama_ray.pareto.hypervolume import hypervolume, non_dominated
from tests.support.objective_points import beats, spaces


@given(spaces(2))
def test_non_dominated_is_what_nothing_beats(space: tuple[int, list[tuple[float, ...]]]) -> None:
    _, objectives = space
    expected = [
        not any(beats(other, point) for other in objectives) and point not in objectives[:position]
        for position, point in enumerate(objectives)
    ]
    assert non_dominated(objectives).tolist() == expected


def test_non_dominated_skips_what_is_not_finite() -> None:
    assert non_dominated([(1, 1), (math.nan, 0), (2, math.nan), (math.inf, -1)]).tolist() == [True, False, False, False]


@given(spaces(2))
def test_hypervolume_agrees_with_optuna(space: tuple[int, list[tuple[float, ...]]]) -> None:
    count, objectives = space
    base, aligned = [-1.0] * (count - 1) + [0.0], [5.0] * (count - 1) + [4.0]
    losses = np.array([(*(-reward for reward in rewards), tax) for *rewards, tax in objectives]).reshape(-1, count)
    worst = np.array([*(-reward for reward in base[:-1]), aligned[-1]])
    inside = losses[(losses < worst).all(axis=1)]
    expected = compute_hypervolume(inside, worst) if len(inside) else 0.0
    assert hypervolume(objectives, base, aligned) == pytest.approx(expected / (6 ** (count - 1) * 4), abs=1e-9)


@given(spaces(2))
def test_hypervolume_agrees_with_inclusion_and_exclusion(space: tuple[int, list[tuple[float, ...]]]) -> None:
    count, objectives = space
    objectives = objectives[:8]
    base, aligned = [-1.0] * (count - 1) + [0.0], [5.0] * (count - 1) + [4.0]
    # What a point wins of each objective, from the worst corner of the box on.
    won = [[max(0.0, (value + 1) / 6) for value in rewards] + [max(0.0, (4 - tax) / 4)] for *rewards, tax in objectives]
    expected = sum(
        (-1) ** (size + 1) * math.prod(map(min, zip(*some, strict=True)))
        for size in range(1, len(won) + 1)
        for some in combinations(won, size)
    )
    assert hypervolume(objectives, base, aligned) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_hypervolume_agrees_with_monte_carlo(count: int) -> None:
    draw = np.random.default_rng(0)
    points = draw.uniform(0, 1, (12, count))
    darts = draw.uniform(0, 1, (200_000, 1, count))
    hit = ((darts[..., :-1] <= points[:, :-1]).all(axis=2) & (darts[..., -1] >= points[:, -1])).any(axis=1)
    base, aligned = [0.0] * count, [1.0] * count
    assert hypervolume(points, base, aligned) == pytest.approx(hit.mean(), abs=0.005)


def test_hypervolume_counts_what_is_won_beyond_the_endpoints() -> None:
    assert hypervolume([(1.5, -0.5)], (0, 0), (1, 1)) == pytest.approx(1.5 * 1.5)
    assert hypervolume([(1.5, 0.5, -0.5)], (0, 0, 0), (1, 1, 1)) == pytest.approx(1.5 * 0.5 * 1.5)


@pytest.mark.parametrize("aligned", [(0.0, 1.0), (-1.0, 1.0), (1.0, 0.0), (1.0, -1.0), (math.nan, 1.0), (1, 0, 1)])
def test_hypervolume_of_an_empty_box_is_nan(aligned: tuple[float, ...]) -> None:
    count = len(aligned)
    assert math.isnan(hypervolume([(1.0,) * (count - 1) + (0.5,)], (0.0,) * count, aligned))
