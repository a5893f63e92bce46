"""Smallest differences and numbers of items, against scipy's noncentral t and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from ama_ray.analysis.precision import Precision


def of_items(count: int, deviation: float = 1.0) -> Precision:
    return Precision(deviation**2 / count, count - 1, {"x": count})


def power(count: int, effect: float, deviation: float = 1.0) -> float:
    """Of the two-sided t test at 5%, exactly."""
    freedom, shift = count - 1, effect / deviation * count**0.5
    beyond = stats.t.ppf(0.975, freedom)
    return float(stats.nct.sf(beyond, freedom, shift) + stats.nct.cdf(-beyond, freedom, shift))


@pytest.mark.parametrize("count", [5, 16, 48, 100, 1000, 100_000])
def test_the_smallest_difference_is_found_in_eighty_percent(count: int) -> None:
    smallest = of_items(count, 0.3).smallest
    assert power(count, smallest, 0.3) == pytest.approx(0.8, abs=0.03 if count < 16 else 0.005)


@pytest.mark.parametrize(("now", "effect"), [(10, 0.9), (48, 0.1), (48, 0.02), (100, 3.0), (1000, 0.5), (7, 0.01)])
def test_so_many_items_find_a_difference_and_fewer_do_not(now: int, effect: float) -> None:
    found = of_items(now).items_for(effect)
    assert found is not None
    count = found["x"]
    # Degrees of freedom are taken to grow with the items, which costs an item or two where there are few.
    assert power(count + 2, effect) >= 0.8
    assert power(max(2, count - 3), effect) < 0.8 or count <= 3


def test_a_simulated_test_finds_what_is_promised() -> None:
    draw, count = np.random.default_rng(0), 24
    effect = of_items(count).smallest
    samples = effect + draw.normal(size=(20_000, count))
    error = samples.std(axis=1, ddof=1) / count**0.5
    found = samples.mean(axis=1) - stats.t.ppf(0.975, count - 1) * error > 0
    assert found.mean() == pytest.approx(0.8, abs=0.015)


def test_several_sources_grow_alike() -> None:
    precision = Precision(0.01, 60, {"facts": 100, "sums": 30})
    found = precision.items_for(0.05)
    assert found is not None
    times = precision.times_for(0.05)
    assert found == {"facts": math.ceil(100 * times), "sums": math.ceil(30 * times)}
    assert times == pytest.approx(0.01 * (2.8016 / 0.05) ** 2, rel=0.01)


def test_pseudo_observations_fall_with_the_square() -> None:
    few = Precision(0.1 / 16 + 2 / 16**2, 15, {"x": 16}, ends=2 / 16**2)
    many = few.items_for(0.02)
    assert many is not None
    # Of a variance of 0.1 and nearly nothing else.
    assert many["x"] == pytest.approx(0.1 * (2.8016 / 0.02) ** 2, rel=0.02)
    assert few.smallest > of_items(16, 0.1**0.5).smallest


def test_what_cannot_be_known() -> None:
    single = Precision(math.nan, 0, {"x": 1})
    assert math.isnan(single.smallest)
    assert math.isnan(single.quantile)
    assert single.items_for(0.1) is None
    assert of_items(30).items_for(0.0) is None
    assert of_items(30).items_for(-0.3) == of_items(30).items_for(0.3)
