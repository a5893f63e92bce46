"""Comparisons against scipy's bootstrap, plain arithmetic, and a truth that is known."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ama_ray.analysis import bootstrap
from ama_ray.analysis.bootstrap import compare
from ama_ray.scores.families import families, family_scores
from ama_ray.scores.interval import Interval
from tests.support.paired_items import OBJECTIVES, model, pair

if TYPE_CHECKING:
    from numpy.typing import NDArray


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000))
def test_values_are_differences_of_the_scores(seed: int) -> None:
    a, b = pair(seed)
    base = model(np.random.default_rng(7), 0.0)
    found = compare(OBJECTIVES, a, b, resamples=3)
    ours, theirs = (OBJECTIVES.scores(items, base) for items in (a, b))
    for name in OBJECTIVES.names:
        difference = ours.objectives[name].value - theirs.objectives[name].value
        assert found.objectives[name].value == pytest.approx(difference, abs=1e-9)
    for name, result in ours.probes.items():
        assert found.probes[name].value == pytest.approx(result.score - theirs.probes[name].score, abs=1e-9)
    for name, members in families(OBJECTIVES.probes).items():
        difference = family_scores(ours, members).value - family_scores(theirs, members).value
        assert found.families[name].value == pytest.approx(difference, abs=1e-9)


def perplexity(nats: NDArray[np.float64], tokens: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    return np.asarray(np.exp(nats.sum(axis=axis) / tokens.sum(axis=axis)))


def test_intervals_agree_with_scipy() -> None:
    a, b = pair(3)
    found = compare(OBJECTIVES, a, b, resamples=20_000)
    options = {"paired": True, "method": "percentile", "n_resamples": 20_000, "rng": np.random.default_rng(1)}
    facts = stats.bootstrap(
        (a["facts"][:, 0], b["facts"][:, 0]), lambda x, y, axis: x.mean(axis) - y.mean(axis), **options
    ).confidence_interval
    text = stats.bootstrap(
        (*a["text"].T, *b["text"].T),
        lambda n, t, m, u, axis: perplexity(n, t, axis) - perplexity(m, u, axis),
        **options,
    ).confidence_interval
    helpful = stats.bootstrap(
        ((a["kind"] - b["kind"] + 0.5 * (a["short"] - b["short"]))[:, 0],), np.mean, **(options | {"paired": False})
    ).confidence_interval
    for ours, theirs in ((found.probes["facts"], facts), (found.probes["text"], text)):
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.05 * (ours.high - ours.low))
    ours = found.objectives["helpful"]
    assert (ours.low, ours.high) == pytest.approx((helpful.low, helpful.high), abs=0.05 * (ours.high - ours.low))


def test_the_spread_of_sums_over_probes_is_that_of_the_jackknife() -> None:
    a, b = pair(4)
    tax = compare(OBJECTIVES, a, b, resamples=20_000).objectives["tax"]
    error = OBJECTIVES.scores(a, b).objectives["tax"].se  # b as base: the tax is the difference
    assert (tax.high - tax.low) / 2 == pytest.approx(1.96 * error, rel=0.1)


@pytest.mark.long
def test_95_percent_of_the_intervals_hold_the_truth() -> None:
    runs = 300
    held = dict.fromkeys(("helpful", "tax", "facts", "knowledge", "one"), 0)
    # The truth of what `model` makes, from a sample so large that its error does not matter.
    large = np.random.default_rng(0).normal(size=(2, 2_000_000))
    facts = [(large.sum(axis=0) > -skill).mean() for skill in (0.4, 0.1)]
    losses = [np.exp(np.exp(0.5 - 0.2 * (skill + large.sum(axis=0))).mean()) for skill in (0.4, 0.1)]
    right = facts[0] - facts[1]
    truth = {"helpful": 0.45, "tax": (losses[0] - losses[1] - right) / 2, "facts": right, "knowledge": right}
    for seed in range(runs):
        a, b = pair(seed)
        found = compare(OBJECTIVES, a, b, seed=seed, resamples=500)
        for name, interval in (found.objectives | found.families | found.probes).items():
            if name in truth:
                held[name] += interval.low <= truth[name] <= interval.high
        alone = Interval.normal(OBJECTIVES.scores(a, b).objectives["harmless"])
        held["one"] += alone.low <= 0.4 <= alone.high
    for name, count in held.items():
        # 95% of 300 are 285, with a standard deviation of 3.8.
        assert 0.91 * runs <= count <= 0.98 * runs, (name, count)


def test_the_same_items_are_drawn_for_both() -> None:
    a, _ = pair(5)
    same = compare(OBJECTIVES, a, a)
    assert {(i.value, i.low, i.high) for i in same.objectives.values()} >= {(0.0, 0.0, 0.0)}
    assert (same.probes["text"].low, same.probes["text"].high) == (0, 0)
    assert not same.objectives["tax"].significant
    shifted = compare(OBJECTIVES, a | {"safe": a["safe"] + 1}, a).objectives["harmless"]
    assert (shifted.value, shifted.low, shifted.high) == pytest.approx((1, 1, 1))
    assert shifted.significant


def test_items_that_all_agree_are_no_certainty() -> None:
    a, _ = pair(5)
    same = compare(OBJECTIVES, a, a, resamples=20_000).probes["facts"]
    reach = 1.96 * 0.5**0.5 / (len(a["facts"]) + 1)
    assert (same.value, same.low, same.high) == pytest.approx((0, -reach, reach), rel=0.05)


def test_a_mean_of_few_has_students_interval() -> None:
    values = np.random.default_rng(3).normal(size=(12, 1))
    a, b = pair(5)
    found = compare(OBJECTIVES, a | {"safe": values}, b | {"safe": 0 * values}, resamples=20_000).objectives["harmless"]
    student = stats.ttest_1samp(values[:, 0], 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx((student.low, student.high), abs=0.07)


def test_the_other_way_round_is_the_same_with_the_signs_changed() -> None:
    a, b = pair(6)
    there, back = (compare(OBJECTIVES, *both, seed=1, resamples=20_000) for both in ((a, b), (b, a)))
    for name, interval in there.objectives.items():
        other = back.objectives[name]
        # Nearly: what is added for few items is drawn for each model by itself.
        near = 0 if name != "tax" else 0.03 * (interval.high - interval.low)
        assert (interval.value, interval.low, interval.high) == pytest.approx(
            (-other.value, -other.high, -other.low), abs=max(near, 1e-9)
        )


def test_blocks_of_resamples_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = pair(7)
    whole = compare(OBJECTIVES, a, b, resamples=50)
    monkeypatch.setattr(bootstrap, "_BLOCK", 700)
    # Only the last digits, as sums are rounded otherwise.
    assert vars(compare(OBJECTIVES, a, b, resamples=50))["objectives"]["tax"].low == pytest.approx(
        whole.objectives["tax"].low
    )


def test_what_is_not_known_is_nan_and_significant_is_nothing() -> None:
    a, b = pair(8)
    single = {name: items[:1] for name, items in a.items()}
    one = compare(OBJECTIVES, single, {name: items[:1] for name, items in b.items()}).objectives["helpful"]
    assert math.isfinite(one.value)
    assert math.isnan(one.low)
    assert not one.significant
    lacking = a | {"safe": np.where(np.arange(45)[:, None] == 3, np.nan, a["safe"])}
    broken = compare(OBJECTIVES, lacking, b).objectives
    assert math.isnan(broken["harmless"].value)
    assert math.isnan(broken["harmless"].high)
    assert math.isfinite(broken["helpful"].low)


def test_a_resample_without_a_token_is_left_out() -> None:
    rare = np.array([[2.0, 4.0], [0.0, 0.0], [0.0, 0.0]])
    found = compare(OBJECTIVES, *(items | {"text": rare} for items in pair(9))).probes["text"]
    assert (found.value, found.low, found.high) == (0, 0, 0)
