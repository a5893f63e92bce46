"""The shares of several aligned models: inside of their simplex, invertible, and every one of them is reached."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ama_ray.space.mixture import Mixture, divided, joined, onto_simplex
from ama_ray.space.parametrization import parametrization

COUNTS = st.integers(1, 6)
UNIT = st.floats(0, 1)


@given(COUNTS.flatmap(lambda count: st.lists(UNIT, min_size=count, max_size=count)))
def test_every_vector_of_the_cube_is_a_mixture(numbers: list[float]) -> None:
    shares = divided(numbers)
    assert min(shares) >= 0
    assert math.fsum(shares) == pytest.approx(numbers[0], abs=1e-12)
    again = divided(joined(shares))
    assert again == pytest.approx(shares, abs=1e-9)


@given(COUNTS.flatmap(lambda count: st.lists(st.floats(0.05, 0.95), min_size=count, max_size=count)))
def test_inside_the_numbers_are_those_of_one_mixture_alone(numbers: list[float]) -> None:
    assert joined(divided(numbers)) == pytest.approx(numbers, abs=1e-6)


@pytest.mark.parametrize("count", range(1, 7))
def test_corners_and_averages_are_reached(count: int) -> None:
    for model in range(count):
        corner = [float(model == other) for other in range(count)]
        assert divided(joined(corner)) == corner
    for ratio in (0.0, 0.1, 0.5, 1.0):
        assert divided(joined([ratio / count] * count)) == pytest.approx([ratio / count] * count, abs=1e-15)


@given(COUNTS.flatmap(lambda count: st.lists(st.floats(-3, 3), min_size=count, max_size=count)))
def test_the_projection_is_the_nearest(values: list[float]) -> None:
    nearest = onto_simplex(values)
    assert min(nearest) >= 0
    assert math.fsum(nearest) <= 1 + 1e-12
    # Of a convex set: nothing in it lies beyond the plane through the nearest, towards the point; corners suffice.
    towards = np.subtract(values, nearest)
    corners = [np.zeros(len(values)), *np.eye(len(values))]
    assert all(float(towards @ (corner - nearest)) <= 1e-9 for corner in corners)


def test_numbers_chosen_evenly_are_an_even_mixture() -> None:
    draw = np.random.default_rng(0)
    shares = np.array([divided(row) for row in draw.uniform(size=(20_000, 3)).tolist()])
    assert shares.mean(0) == pytest.approx([1 / 6] * 3, abs=0.005)
    assert shares.std(0) == pytest.approx([shares.std(0).mean()] * 3, abs=0.005)
    assert np.quantile(shares.sum(1), [0.1, 0.5, 0.9]) == pytest.approx([0.1, 0.5, 0.9], abs=0.01)


KNOTS = {f"{i}@{m}": {f"@0@{m}": 1 - i / 3, f"@1@{m}": i / 3} for i in range(4) for m in ("a", "b", "c")}
FLAT = {f"{group}@{model}": (0.0, 1.0) for group in ("in", "0", "1", "2", "3") for model in ("a", "b", "c")}


@pytest.mark.parametrize("knots", [{}, KNOTS])
def test_knots_of_mixtures_make_mixtures(knots: dict[str, dict[str, float]]) -> None:
    shape = Mixture(parametrization(FLAT, None, knots))
    draw = np.random.default_rng(1)
    for _ in range(50):
        params = {name: float(draw.uniform(*ends)) for name, ends in shape.ranges.items()}
        ratios = shape.to_ratios(params)
        assert shape.expresses(ratios)
        assert shape.to_params(ratios) == pytest.approx(params, abs=1e-6)
        for group in ("in", "0", "1", "2", "3"):
            assert math.fsum(ratios[f"{group}@{model}"] for model in ("a", "b", "c")) <= 1 + 1e-12
        assert shape.nearest(ratios) == pytest.approx(ratios, abs=1e-6)
    beyond = dict.fromkeys(FLAT, 0.5)
    assert not shape.expresses(beyond)
    assert shape.nearest(beyond) == pytest.approx(dict.fromkeys(FLAT, 1 / 3))
    assert shape.moved(dict.fromkeys(FLAT, 2.0))["in"] == pytest.approx(2 * math.sqrt(3))
