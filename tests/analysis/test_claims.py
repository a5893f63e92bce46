"""What is said of a run, against fronts made one by one and against searches whose truth is known."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ama_ray.analysis.bootstrap import compare, resample
from ama_ray.analysis.claims import Claims, groups
from ama_ray.analysis.paired import paired_errors
from ama_ray.analysis.trade_test import TradeTest
from ama_ray.pareto.hypervolume import hypervolume, non_dominated
from ama_ray.pareto.pareto_set import ParetoSet
from ama_ray.scores.constraints import Constraints
from ama_ray.scores.interval import Interval
from ama_ray.scores.trial import Trial
from tests.support.made_up_search import LARGE, LINE, OBJECTIVES, search
from tests.support.paired_items import OBJECTIVES as SEVERAL
from tests.support.paired_items import pair

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ama_ray.scores.objectives import Items


def made(seed: int, truths: list[tuple[float, float]] | None = None) -> tuple[ParetoSet, Mapping[int, Items]]:
    trials, items = search(LINE if truths is None else truths, seed, LARGE)
    return ParetoSet(trials, won=TradeTest.of(OBJECTIVES, items[0], items[1]).intervals), items


def test_errors_of_all_pairs_are_those_of_the_objectives() -> None:
    models = [*pair(1), *pair(2)]
    found = paired_errors(SEVERAL, models)
    for i, one in enumerate(models):
        for j, other in enumerate(models):
            if i != j:
                rewards = TradeTest.of(SEVERAL, other, one).intervals
                assert found["tax"][i, j] == pytest.approx(SEVERAL.scores(one, other).objectives["tax"].se)
                for name, gain in rewards.items():
                    assert 1.96 * found[name][i, j] == pytest.approx((gain.high - gain.low) / 2, rel=0.05)


def test_values_are_those_of_the_front() -> None:
    pareto, items = made(1)
    claims = Claims.of(pareto, OBJECTIVES, items, [trial.number for trial in pareto.front[:2]])
    knee = pareto.pick("knee")
    assert claims.hypervolume.value == pytest.approx(pareto.hypervolume)
    assert claims.uniform.value == pytest.approx(pareto.uniform_hypervolume)
    assert claims.difference.value == pytest.approx(pareto.hypervolume - pareto.uniform_hypervolume)
    assert claims.again.value == pytest.approx(pareto.hypervolume_of(pareto.front[:2]))
    assert {name: each.value for name, each in claims.knee.items()} == pytest.approx(
        {name: pareto.trade.share(knee, name) for name in pareto.objectives}
    )
    # The uniform points are base and aligned: base is all that costs no more than the knee.
    assert claims.gain.value == pytest.approx(pareto.trade.gain(knee))
    assert claims.beside["reward"].value == 0
    every = [claims.hypervolume, claims.difference, claims.gain, *claims.knee.values()]
    assert all(each.low < each.value < each.high for each in every)


def test_the_knee_is_compared_with_its_twin() -> None:
    trials, items = search([*LINE, (0.7, 0.1)], 8, LARGE)
    knee = ParetoSet(trials).pick("knee")
    mean = dict.fromkeys(knee.ratios, knee.mean_ratio)
    twin = replace(trials[-1], origin="twin", ratios=mean)
    pareto = ParetoSet([*trials[:-1], twin], won=TradeTest.of(OBJECTIVES, items[0], items[1]).intervals)
    found = Claims.of(pareto, OBJECTIVES, items, seed=1).over_twin
    alone = compare(OBJECTIVES, items[knee.number], items[twin.number]).objectives
    for name in pareto.objectives:
        assert found[name].value == pytest.approx(alone[name].value)
        # What knows of the choice is wider, and lies lower.
        assert found[name].high - found[name].low > 0.95 * (alone[name].high - alone[name].low)
    assert found["reward"].low < alone["reward"].low + 0.02
    assert Claims.of(ParetoSet(trials), OBJECTIVES, items, resamples=20).over_twin == {}


def test_how_likely_a_point_is_on_the_front_is_counted() -> None:
    pareto, items = made(2)
    found = Claims.of(pareto, OBJECTIVES, items, resamples=300, seed=4).on_front
    drawn = resample(OBJECTIVES, [items[trial.number] for trial in pareto.scored], resamples=300, seed=4)
    fronts = np.array([[d.objectives["reward"], d.objectives["tax"] - drawn[0].objectives["tax"]] for d in drawn])
    masks = [non_dominated(fronts[:, :, i]) for i in range(1, 301)]
    assert list(found.values()) == pytest.approx(np.mean(masks, axis=0).tolist())


def test_a_volume_of_given_points_is_as_wide_as_its_resamples() -> None:
    pareto, items = made(3)
    given = [trial.number for trial in pareto.scored[2:]]
    found = Claims.of(pareto, OBJECTIVES, items, given, resamples=300, seed=4).again
    drawn = resample(OBJECTIVES, [items[trial.number] for trial in pareto.scored], resamples=300, seed=4)
    points = np.array([[d.objectives["reward"], d.objectives["tax"] - drawn[0].objectives["tax"]] for d in drawn])
    volumes = [hypervolume(points[2:, :, i], points[0, :, i].tolist(), points[1, :, i].tolist()) for i in range(301)]
    low, high = np.percentile(volumes[0] ** 2 / np.array(volumes[1:]), (2.5, 97.5))
    assert (found.low, found.high) == pytest.approx((low, high))


def bounds(interval: Interval) -> tuple[float, float, float]:
    return interval.value, interval.low, interval.high


def test_undecided_uniform_points_are_on_every_front_that_is_chosen_anew() -> None:
    trials, items = search([*LINE, (0.8, 0.09), (0.7, 0.1)], 3, LARGE)
    uniform = [replace(t, origin="baseline", ratios={"a": 0.1 * t.number, "b": 0.1 * t.number}) for t in trials[-2:]]
    numbers = [0, 1, *(t.number for t in uniform)]
    pareto = ParetoSet([*trials[:-2], *uniform], won=TradeTest.of(OBJECTIVES, items[0], items[1]).intervals)
    kept = pareto.with_undecided(numbers)
    found = Claims.of(kept, OBJECTIVES, items, numbers, resamples=300, seed=4)
    # No resample has a choice among the uniform points: they are points that are given.
    assert bounds(found.uniform) == pytest.approx(bounds(found.again), rel=1e-12)
    before = Claims.of(pareto, OBJECTIVES, items, numbers, resamples=300, seed=4)
    assert bounds(before.again) == pytest.approx(bounds(found.again), rel=1e-12)
    assert bounds(before.uniform) != pytest.approx(bounds(before.again), rel=1e-3)
    assert before.hypervolume.value == pytest.approx(found.hypervolume.value)
    assert before.on_front == found.on_front


def test_points_that_cannot_be_told_apart_are_one_group() -> None:
    pareto, items = made(4, [*LINE, (0.905, 0.06), (0.895, 0.059)])
    close = {trial.number for trial in pareto.front if 0.75 < trial.reward < 1.1}
    found = [set(members) for members in groups(pareto, OBJECTIVES, items)]
    assert [number for members in groups(pareto, OBJECTIVES, items) for number in members] == [
        trial.number for trial in pareto.front
    ]
    assert close in found
    assert len(found) > 3
    claims = Claims.of(pareto, OBJECTIVES, items, resamples=100)
    assert {claims.group(number) for number in close} == {"a"}
    assert set(claims.alike(min(close))) == close - {min(close)}
    assert claims.group(999) == ""
    assert claims.alike(999) == ()
    assert {claims.group(*members) for members in claims.groups if len(members) == 1} == {""}
    letters = replace(claims, groups=((99,), *((i, i + 100) for i in range(53))))
    assert [letters.group(i) for i in (0, 25, 26, 52)] == ["a", "z", "aa", "ba"]


def test_without_a_trade_only_places_are_known() -> None:
    trials, items = search(LINE, 5, LARGE)
    flat = ParetoSet(trials, won={"reward": Interval(0.1, -0.1, 0.3)})
    claims = Claims.of(flat, OBJECTIVES, items, resamples=100)
    assert math.isnan(claims.hypervolume.low)
    assert claims.knee == {}
    assert set(claims.on_front) == set(items)
    assert claims.groups
    assert Claims.of(ParetoSet([]), OBJECTIVES, {}) == Claims()


def test_what_breaks_a_bound_is_on_no_front() -> None:
    trials, items = search(LINE, 6, LARGE)
    bounded = ParetoSet(trials, Constraints.parse({"tax": "<= 0.1"}, OBJECTIVES), {"reward": 0.2})
    claims = Claims.of(bounded, OBJECTIVES, items, resamples=100)
    assert {trial.number for trial in bounded.left_out} == {n for n, share in claims.on_front.items() if share == 0}
    assert claims.hypervolume.value == pytest.approx(bounded.hypervolume)
    assert claims.hypervolume.value < Claims.of(ParetoSet(trials), OBJECTIVES, items, resamples=100).hypervolume.value


def test_of_several_rewards_too() -> None:
    draw = np.random.default_rng(0)
    means: dict[str, list[float]] = {"kind": [0, 4, 2, 3, 2.5], "short": [0, 2, 1, 1, 2], "safe": [0, 3, 1, 2, 1]}
    models = [
        pair(1)[0] | {name: draw.normal(each[i], 0.5, pair(1)[0][name].shape) for name, each in means.items()}
        for i in range(5)
    ]
    right = [1.0, 0.2, 0.9, 0.7, 0.8]
    for model, share in zip(models, right, strict=True):
        model["facts"] = model["more"] = (np.arange(60) < 60 * share).astype(float)[:, None]
    ratios = [(0.0, 0.0), (1.0, 1.0), (0.5, 0.5), (0.3, 0.6), (0.2, 0.9)]
    trials = [
        Trial(i, "complete", "baseline" if i < 3 else "sampler", {"a": a, "b": b}, SEVERAL.scores(model, models[0]))
        for i, (model, (a, b)) in enumerate(zip(models, ratios, strict=True))
    ]
    pareto = ParetoSet(trials)
    assert not pareto.no_trade
    claims = Claims.of(pareto, SEVERAL, dict(enumerate(models)), [3], resamples=100)
    assert claims.hypervolume.value == pytest.approx(pareto.hypervolume)
    assert claims.uniform.value == pytest.approx(pareto.uniform_hypervolume)
    assert list(claims.knee) == ["helpful", "harmless", "tax"]
    assert claims.hypervolume.low < pareto.hypervolume < claims.hypervolume.high


def curse(seed: int) -> tuple[Interval, float, Interval]:
    """The share of the reward at the knee of twenty points that are all the same, the truth, and what does not know."""
    trials, items = search([(1.0, 0.1)] * 20, seed)
    pareto = ParetoSet(trials, won=TradeTest.of(OBJECTIVES, items[0], items[1]).intervals)
    claims = Claims.of(pareto, OBJECTIVES, items, resamples=200, seed=seed)
    knee = pareto.pick("knee")
    naive = TradeTest.of(OBJECTIVES, items[0], items[knee.number]).intervals["reward"].times(0.5)
    return claims.knee["reward"], 0.5, naive


@pytest.mark.long
def test_intervals_know_the_winners_curse() -> None:
    found = [curse(seed) for seed in range(120)]
    held = [known.low <= truth <= known.high for known, truth, _ in found]
    above = [known.low > truth for known, truth, _ in found]
    # Of 120, 95% are 114 with a standard deviation of 2.4; lopsided to the safe side.
    assert sum(held) >= 0.92 * 120
    # What is said of the knee is too high, on the average, by more than half an error of it.
    assert np.mean([naive.value - truth for _, truth, naive in found]) > 0.02
    assert sum(above) <= 0.05 * 120


def test_trials_of_a_single_item_are_nowhere(made_of_one: tuple[list[Trial], Mapping[int, Items]]) -> None:
    trials, items = made_of_one
    claims = Claims.of(ParetoSet(trials), OBJECTIVES, items, resamples=20)
    assert all(map(math.isnan, claims.on_front.values()))


@pytest.fixture
def made_of_one() -> tuple[list[Trial], Mapping[int, Items]]:
    return search(LINE, 7, dict.fromkeys(LARGE, 1))
