from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import minimize

from ama_ray.errors import UserError
from ama_ray.space.parametrization import Box, Profile, Slice, parametrization

ENDS = [(0.0, 1.0), (0.0, 0.5), (0.2, 0.8), (0.3, 1.3), (0.9, 1.0)]


@st.composite
def slices(draw: st.DrawFn) -> tuple[dict[str, tuple[float, float]], float]:
    """Ranges of up to twelve groups, and a mean that they allow."""
    ranges = {f"g{i}": ends for i, ends in enumerate(draw(st.lists(st.sampled_from(ENDS), min_size=2, max_size=12)))}
    low, high = (float(np.mean([ends[i] for ends in ranges.values()])) for i in (0, 1))
    return ranges, low + draw(st.floats(1e-3, 1 - 1e-3)) * (high - low)


def mean(ratios: dict[str, float]) -> float:
    return math.fsum(ratios.values()) / len(ratios)


@given(slices(), st.data())
def test_all_shares_give_ratios_in_the_box_with_the_mean_and_back(
    case: tuple[dict[str, tuple[float, float]], float], data: st.DataObject
) -> None:
    ranges, wanted = case
    shape = Slice(ranges, wanted)
    assert len(shape.ranges) == len(ranges) - 1
    shares = {name: data.draw(st.floats(0, 1)) for name in shape.ranges}
    ratios = shape.to_ratios(shares)
    assert list(ratios) == list(ranges)
    assert all(low <= ratios[group] <= high for group, (low, high) in ranges.items())
    assert abs(mean(ratios) - wanted) <= 1e-12
    assert shape.expresses(ratios)
    assert shape.to_ratios(shape.to_params(ratios)) == pytest.approx(ratios, abs=1e-12)


@given(slices())
def test_shares_come_back_where_every_group_has_a_choice(case: tuple[dict[str, tuple[float, float]], float]) -> None:
    shape = Slice(*case)
    shares = dict.fromkeys(shape.ranges, 0.37)
    assert shape.to_params(shape.to_ratios(shares)) == pytest.approx(shares, abs=1e-9)


def corners(ranges: dict[str, tuple[float, float]], wanted: float) -> list[tuple[float, ...]]:
    """Of the slice: all ratios but one at an end of their ranges, and that one where the mean puts it."""
    found = []
    for free, (low, high) in enumerate(ranges.values()):
        others = [ends for i, ends in enumerate(ranges.values()) if i != free]
        for ends in itertools.product(*others):
            rest = wanted * len(ranges) - sum(ends)
            if low <= rest <= high:
                found.append((*ends[:free], rest, *ends[free:]))
    return found


@given(slices())
def test_every_corner_is_reached(case: tuple[dict[str, tuple[float, float]], float]) -> None:
    ranges, wanted = case
    assume(len(ranges) <= 5)
    shape = Slice(ranges, wanted)
    for corner in corners(ranges, wanted):
        shares = shape.to_params(dict(zip(ranges, corner, strict=True)))
        assert all(0 <= share <= 1 for share in shares.values())
        assert list(shape.to_ratios(shares).values()) == pytest.approx(corner, abs=1e-12)


@given(slices(), st.data())
def test_the_nearest_point_is_on_the_slice_and_none_of_it_is_nearer(
    case: tuple[dict[str, tuple[float, float]], float], data: st.DataObject
) -> None:
    ranges, wanted = case
    shape = Slice(ranges, wanted)
    start = {group: data.draw(st.floats(0, 1.5)) for group in ranges}
    nearest = shape.nearest(start)
    assert shape.expresses(nearest)
    assert abs(mean(nearest) - wanted) <= 1e-12
    there = np.array([*start.values()])
    to_nearest = np.array([*nearest.values()]) - there
    # A convex set has all its points in front of the plane through the nearest one.
    for _ in range(5):
        shares = {name: data.draw(st.floats(0, 1)) for name in shape.ranges}
        other = np.array([*shape.to_ratios(shares).values()]) - there
        assert to_nearest @ (other - to_nearest) >= -1e-9
    assert shape.nearest(nearest) == pytest.approx(nearest, abs=1e-12)


def test_the_nearest_point_by_another_way() -> None:
    ranges = {"a": (0.0, 1.0), "b": (0.0, 0.5), "c": (0.2, 0.8), "d": (0.0, 1.0)}
    start = np.array([0.5, 1.0, 1.0, 0.9])
    found = minimize(
        lambda ratios: ((ratios - start) ** 2).sum(),
        start,
        bounds=[*ranges.values()],
        constraints={"type": "eq", "fun": lambda ratios: ratios.mean() - 0.5},
        tol=1e-12,
    )
    nearest = Slice(ranges, 0.5).nearest(dict(zip(ranges, start.tolist(), strict=True)))
    assert [*nearest.values()] == pytest.approx(found.x, abs=1e-5)


def test_a_slice_by_hand() -> None:
    shape = Slice({"a": (0.0, 1.0), "b": (0.0, 1.0), "c": (0.0, 1.0)}, 0.8)
    # Of 2.4 in all, a leaves at most 2 to the others, so that it has at least 0.4.
    assert shape.to_ratios({"share-0": 0.0, "share-1": 0.5}) == pytest.approx({"a": 0.4, "b": 1.0, "c": 1.0})
    assert shape.to_ratios({"share-0": 1.0, "share-1": 0.0}) == pytest.approx({"a": 1.0, "b": 0.4, "c": 1.0})
    assert shape.to_ratios({"share-0": 0.5, "share-1": 1.0}) == pytest.approx({"a": 0.7, "b": 1.0, "c": 0.7})
    assert not shape.expresses({"a": 0.8, "b": 0.8, "c": 0.79})
    assert not shape.expresses({"a": 1.1, "b": 0.7, "c": 0.6})


def test_a_mean_that_leaves_no_choice_is_refused() -> None:
    with pytest.raises(UserError, match="mean_ratio: the search space has one group"):
        Slice({"all": (0.0, 1.0)}, 0.5)
    for wanted in (0.1, 0.05, 0.7, 0.9):
        with pytest.raises(UserError, match=rf"mean_ratio: .* between 0\.1 and 0\.7; {wanted:g} is out of reach"):
            Slice({"a": (0.2, 0.8), "b": (0.0, 0.6)}, wanted)


def test_without_a_mean_every_ratio_is_free() -> None:
    box = parametrization({"a": (0.2, 0.8), "b": (0.0, 1.0)}, None)
    assert isinstance(box, Box)
    assert box.ranges == {"a": (0.2, 0.8), "b": (0.0, 1.0)}
    assert list(box.to_ratios({"b": 0.1, "a": 0.3})) == ["a", "b"]
    assert box.expresses({"a": 0.0, "b": 0.0})
    assert box.nearest({"a": 1.0, "b": 0.3}) == {"a": 0.8, "b": 0.3}
    assert isinstance(parametrization({"a": (0.2, 0.8), "b": (0.0, 1.0)}, 0.4), Slice)


@st.composite
def profiles(draw: st.DrawFn) -> tuple[Profile, dict[str, tuple[float, float]], int]:
    """A side, some layers that follow knots, and a side; and how many knots."""
    layers = draw(st.integers(2, 12))
    count = draw(st.integers(2, layers))
    ends = draw(st.sampled_from(ENDS))
    ranges = {"embed": draw(st.sampled_from(ENDS)), **{f"l{i}": ends for i in range(layers)}, "head": (0.0, 1.0)}
    knots: dict[str, dict[str, float]] = {}
    for layer in range(layers):
        position = layer / (layers - 1) * (count - 1)
        hats = {f"@{knot}": max(0.0, 1 - abs(position - knot)) for knot in range(count)}
        knots[f"l{layer}"] = {name: hat for name, hat in hats.items() if hat > 1e-12}
    return Profile(ranges, knots), ranges, count


@given(profiles(), st.data())
def test_ratios_follow_their_knots_and_back(
    case: tuple[Profile, dict[str, tuple[float, float]], int], data: st.DataObject
) -> None:
    shape, ranges, count = case
    assert len(shape.ranges) == count + 2
    params = {name: low + data.draw(st.floats(0, 1)) * (high - low) for name, (low, high) in shape.ranges.items()}
    ratios = shape.to_ratios(params)
    assert list(ratios) == list(ranges)
    assert all(low <= ratios[group] <= high for group, (low, high) in ranges.items())
    layers = [ratio for group, ratio in ratios.items() if group.startswith("l")]
    where = np.linspace(0, count - 1, len(layers))
    assert layers == pytest.approx(np.interp(where, range(count), [params[f"@{k}"] for k in range(count)]))
    assert shape.expresses(ratios)
    assert shape.to_params(ratios) == pytest.approx(params, abs=1e-9)
    assert shape.nearest(ratios) == pytest.approx(ratios, abs=1e-6)


@given(profiles(), st.data())
def test_the_nearest_profile_has_none_nearer(
    case: tuple[Profile, dict[str, tuple[float, float]], int], data: st.DataObject
) -> None:
    shape, ranges, _ = case
    start = {group: data.draw(st.floats(0, 1.5)) for group in ranges}
    there = np.array([*start.values()])
    to_nearest = np.array([*shape.nearest(start).values()]) - there
    for _ in range(5):
        params = {name: low + data.draw(st.floats(0, 1)) * (high - low) for name, (low, high) in shape.ranges.items()}
        other = np.array([*shape.to_ratios(params).values()]) - there
        assert to_nearest @ (other - to_nearest) >= -1e-6


def test_a_profile_knows_uniform_points_and_what_it_cannot_follow() -> None:
    shape = parametrization(
        dict.fromkeys(["embed", "a", "b", "c"], (0.2, 0.8)),
        None,
        {"a": {"@0": 1.0}, "b": {"@0": 0.5, "@1": 0.5}, "c": {"@1": 1.0}},
    )
    assert shape.ranges == dict.fromkeys(["embed", "@0", "@1"], (0.2, 0.8))
    # Also outside the ranges, as base and aligned are.
    assert shape.to_params({"embed": 1.0, "a": 1.0, "b": 1.0, "c": 1.0}) == pytest.approx(
        {"embed": 1.0, "@0": 1.0, "@1": 1.0}
    )
    assert shape.expresses({"embed": 0.0, "a": 0.0, "b": 0.0, "c": 0.0})
    assert not shape.expresses({"embed": 0.5, "a": 0.5, "b": 0.6, "c": 0.5})
    # A knot moves one layer whole and half of another.
    far = shape.moved({"embed": 2.0, "a": 3.0, "b": 8.0, "c": 0.0})
    assert far == pytest.approx({"embed": 2.0, "@0": 5.0, "@1": 4.0})


def test_a_mean_and_knots_do_not_go_together() -> None:
    with pytest.raises(UserError, match="mean_ratio: the ratios of the search space follow knots"):
        parametrization({"a": (0.0, 1.0), "b": (0.0, 1.0)}, 0.5, {"a": {"@0": 1.0}, "b": {"@1": 1.0}})
