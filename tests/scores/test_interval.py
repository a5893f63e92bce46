"""Intervals against scipy's, and what they cover."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ama_ray.scores.interval import Interval, expansion


@given(st.integers(1, 200).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count))))
def test_a_share_has_wilsons_interval(of: tuple[int, int]) -> None:
    right, count = of
    expected = stats.binomtest(right, count).proportion_ci(method="wilson")
    found = Interval.of_share(right / count, count)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-4)
    assert 0 <= found.low < found.high <= 1


@pytest.mark.parametrize("count", [2, 5, 16, 400])
def test_a_mean_has_students_interval(count: int) -> None:
    values = np.random.default_rng(count).normal(3, 2, count)
    expected = stats.ttest_1samp(values, 0).confidence_interval()
    found = Interval.of_mean(values)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-4)


def test_one_value_has_no_interval() -> None:
    assert math.isnan(Interval.of_mean(np.array([2.0])).low)


def test_resamples_that_are_expanded_have_students_interval() -> None:
    values = np.random.default_rng(0).normal(size=9)
    spread = values.std() / 3  # of means of resamples
    assert 1.96 * expansion(9) * spread == pytest.approx(Interval.of_mean(values).high - values.mean())


def test_a_sum_of_equal_parts_is_as_wide_as_their_root_and_lopsided_where_they_are() -> None:
    found = Interval.sum([Interval(0.9, 0.6, 1.0)] * 4)
    assert (found.value, found.low, found.high) == pytest.approx((3.6, 3.6 - 2 * 0.3, 3.6 + 2 * 0.1))


def test_means_of_shares_cover_the_truth() -> None:
    """The mean of two shares, each near 1 and of few answers, in at least 92% of 2000 draws."""
    draw, held = np.random.default_rng(1), 0
    for _ in range(2000):
        shares = [(draw.binomial(20, share) / 20, 20) for share in (0.98, 0.9)]
        found = Interval.sum([Interval.of_share(*each).times(0.5) for each in shares])
        held += found.low <= 0.94 <= found.high
    assert held >= 0.92 * 2000


def test_draws_that_are_not_finite_are_left_out() -> None:
    found = Interval.of_draws(1.0, np.array([*np.linspace(0, 2, 1001), np.nan, np.inf]))
    assert (found.low, found.high) == pytest.approx((0.05, 1.95))
    assert math.isnan(Interval.of_draws(math.nan, np.ones(3)).low)
