"""Hypervolume against trials, against loops over halves, and against a truth that is known."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ama_ray.analysis.convergence import SPLITS, SplitHalves, Step, estimate, gain, hypervolume_trace
from ama_ray.pareto.pareto_set import ParetoSet
from ama_ray.scores.constraints import Constraints
from ama_ray.scores.trial import Trial
from tests.support.made_up_search import LARGE, LINE, OBJECTIVES, SIZES, search

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.support.made_up_search import Model


def filled(items: Mapping[int, Model], seed: int = 0) -> SplitHalves:
    halves = SplitHalves(OBJECTIVES, seed)
    for number, each in items.items():
        halves.add(number, each)
    return halves


def area(points: Sequence[tuple[float, float]]) -> float:
    """What shares of reward and tax dominate, by strips."""
    inside = sorted((tax, reward) for reward, tax in points if reward > 0 and tax < 1)
    ends = [tax for tax, _ in [*inside, (1.0, 0.0)]][1:]
    best, total = 0.0, 0.0
    for (tax, reward), end in zip(inside, ends, strict=True):
        best = max(best, reward)
        total += best * (end - tax)
    return total


def by_hand(halves: SplitHalves, items: Mapping[int, Model], count: int, split: int, chooser: int) -> float:
    """The hypervolume after so many trials, of one division: items picked, scored as in a trial, points in a loop."""

    def part(number: int, half: int) -> Model:
        masks = dict(zip(("kind", "safe", "facts", "text"), halves._masks.values(), strict=True))
        return {name: array[masks[name][split] == (half == 0)] for name, array in items[number].items()}

    def points(half: int) -> list[tuple[float, float]]:
        scored = [OBJECTIVES.scores(part(n, half), part(0, half)).objectives for n in range(max(count, 2))]
        return [(each["reward"].value, each["tax"].value) for each in scored]

    chosen, values = points(chooser)[:count], points(1 - chooser)
    front = [i for i, (r, t) in enumerate(chosen) if not any(a >= r and b <= t and (a, b) != (r, t) for a, b in chosen)]
    (base, _), (aligned, cost) = values[:2]
    if aligned <= base or cost <= 0:
        return math.nan
    return area([((values[i][0] - base) / (aligned - base), values[i][1] / cost) for i in front])


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 1000), st.integers(2, 7), st.integers(0, SPLITS - 1))
def test_volumes_are_those_of_a_loop_over_halves(seed: int, count: int, split: int) -> None:
    truths = np.random.default_rng(seed).uniform((0.5, 0.0), (2.0, 0.4), (5, 2)).tolist()
    trials, items = search(truths, seed)
    halves, pareto = filled(items, seed), ParetoSet(trials, split="search")
    if pareto.no_trade:
        return
    volumes = halves.volumes(pareto)
    assert volumes.shape == (7, 2 * SPLITS)
    for chooser in (0, 1):
        expected = by_hand(halves, items, count, split, chooser)
        assert volumes[count - 1, chooser * SPLITS + split] == pytest.approx(expected, nan_ok=True, abs=1e-9)
    np.testing.assert_array_equal(halves.volumes(pareto, sorted({2, count})), volumes[sorted({1, count - 1})])
    before, after = volumes[count - 1], volumes[-1]
    assert gain(pareto, 7 - count, halves) == estimate(after - before)


def test_halves_are_halves_and_the_same_for_all() -> None:
    _, items = search([(1.0, 0.1)] * 3, seed=1)
    halves = filled(items)
    masks = {name: mask.copy() for name, mask in halves._masks.items()}
    for size, mask in zip(SIZES.values(), masks.values(), strict=True):
        assert (mask.sum(axis=1) == size // 2).all()
        assert mask.any(axis=0).all()
        assert not mask.all(axis=0).any()
    halves.add(9, items[2])
    assert all((halves._masks[name] == mask).all() for name, mask in masks.items())
    np.testing.assert_array_equal(halves._values[9], halves._values[2])
    assert 9 in halves
    assert 8 not in halves


def test_of_a_mean_the_spread_over_halves_is_its_standard_error() -> None:
    items = np.random.default_rng(0).normal(size=(400, 1))
    found = np.concatenate(
        [SplitHalves(OBJECTIVES, seed)._on_halves("any", "mean", items).ravel() for seed in range(20)]
    )
    assert found.std() == pytest.approx(items.std(ddof=1) / 20, rel=0.05)


def test_the_trace_has_a_step_for_every_trial_of_the_search() -> None:
    trials, items = search([(1.2, 0.1), (1.9, 0.2), (0.5, 0.4)], seed=2)
    stopped = Trial(5, "stopped", "sampler", trials[3].ratios, trials[3].search, share=0.4)
    failed = Trial(6, "failed", "sampler", trials[3].ratios, reason="no")
    twin = Trial(7, "complete", "twin", {"a": 0.5, "b": 0.5}, report=trials[2].search)
    shuffled = [*trials[::-1], twin, failed, stopped]
    pareto = ParetoSet(shuffled)
    searched = [trial for trial in shuffled if trial is not twin]
    steps = hypervolume_trace(pareto, searched, OBJECTIVES, items)
    assert [step.trials for step in steps] == list(range(1, 8))
    assert math.isnan(steps[0].hypervolume)
    assert math.isnan(steps[0].held_out.value)
    halves = filled(items)
    for step in steps[1:]:
        points = [trial for trial in trials[: step.trials] if trial.search]
        shares = [
            ((t.reward - trials[0].reward) / (trials[1].reward - trials[0].reward), t.tax / trials[1].tax)
            for t in points
        ]
        assert step.hypervolume == pytest.approx(area(shares))
        known = [by_hand(halves, items, min(step.trials, 5), split, h) for split in range(SPLITS) for h in (0, 1)]
        finite = [value for value in known if math.isfinite(value)]
        assert step.held_out.value == pytest.approx(np.mean(finite))
        assert step.held_out.se == pytest.approx(np.std(finite, ddof=1))
    assert steps[4].held_out == steps[5].held_out == steps[6].held_out
    unknown = hypervolume_trace(pareto, searched)
    assert [step.hypervolume for step in unknown[1:]] == [step.hypervolume for step in steps[1:]]
    assert all(math.isnan(step.held_out.value) for step in unknown)
    assert hypervolume_trace(ParetoSet([]), [], OBJECTIVES, {}) == []


@pytest.mark.long
def test_luck_is_no_gain_and_a_gain_is_one() -> None:
    lucky, luckier, better = [], [], []
    for seed in range(25):
        trials, items = search([*LINE, *LINE, (1.75, 0.06)], seed, LARGE)
        halves = filled(items, seed)
        before = ParetoSet(trials[:6], split="search").hypervolume
        same = ParetoSet(trials[:10], split="search")
        luckier.append(same.hypervolume - before)
        lucky.append(gain(same, 4, halves))
        better.append(gain(ParetoSet(trials, split="search"), 1, halves))
    # Judged by the items that chose, four points just as good as those before win something in every search.
    assert min(luckier) >= 0
    assert np.mean([each.value for each in lucky]) < 0.8 * np.mean(luckier)
    assert np.mean([each.value <= each.se for each in lucky]) > 0.5
    assert all(each.value > each.se for each in better)


@pytest.mark.long
def test_the_intervals_hold_the_truth_of_what_was_chosen() -> None:
    held, above = 0, []
    draw = np.random.default_rng(5)
    truths = draw.uniform((0.2, 0.0), (2.0, 0.4), (20, 2)).tolist()
    exact, _ = search(truths, 99, dict.fromkeys(LARGE, 40000))
    box = [(t.reward - exact[0].reward) / (exact[1].reward - exact[0].reward) for t in exact]
    runs = 60
    for seed in range(runs):
        trials, items = search(truths, seed, LARGE)
        pareto = ParetoSet(trials, split="search")
        truth = area([(box[t.number], exact[t.number].tax / exact[1].tax) for t in pareto.front])
        found = estimate(filled(items, seed).volumes(pareto, [len(trials)])[0])
        held += abs(found.value - truth) <= 1.96 * found.se
        above.append((pareto.hypervolume - truth, found.value - truth))
    # 95% of 60 are 57, with a standard deviation of 1.7.
    assert held >= 53
    seen, held_out = np.mean(above, axis=0)
    assert abs(held_out) < 0.6 * seen


def test_constraints_and_the_reference_of_the_run_count() -> None:
    trials, items = search([(1.9, 0.1), (1.2, 0.1)], seed=4)

    def bounded(**bounds: str) -> ParetoSet:
        return ParetoSet(trials, Constraints.parse(bounds, OBJECTIVES))

    def steps_of(pareto: ParetoSet) -> list[Step]:
        return hypervolume_trace(pareto, pareto.trials, OBJECTIVES, items)

    pareto = bounded(reward=f"<= {trials[2].reward - 0.01}")
    assert 2 in {trial.number for trial in pareto.left_out}
    steps = steps_of(pareto)
    assert steps[2].held_out == steps[1].held_out
    assert steps[3].hypervolume == pareto.hypervolume
    # Neither base nor aligned need satisfy them.
    alone = bounded(reward=f">= {trials[2].reward - 0.01}", tax="<= 0.4")
    assert [trial.number for trial in alone.left_out] == [0, 1, 3]
    before, after = (steps_of(alone)[count].held_out for count in (1, 2))
    assert (before.value, before.se) == (0, 0)
    assert after.value == pytest.approx(alone.hypervolume, abs=2 * after.se)
    others = steps_of(ParetoSet([trial for trial in trials if trial.number != 2]))
    assert others[-1].held_out.value != pytest.approx(steps_of(ParetoSet(trials))[-1].held_out.value)
    wide = steps_of(ParetoSet(trials, worst={"tax": 50.0}))
    assert wide[-1].held_out.value > 5 * steps[-1].held_out.value


def test_without_a_trade_or_with_single_items_nothing_is_known() -> None:
    trials, items = search([(1.0, 0.1)], seed=5)
    flat = [replace(trial, search=trials[0].search) for trial in trials]
    assert all(math.isnan(step.held_out.value) for step in hypervolume_trace(ParetoSet(flat), flat, OBJECTIVES, items))
    single = {n: {name: array[:1] for name, array in each.items()} for n, each in items.items()}
    halves = filled(single)
    assert math.isnan(gain(ParetoSet(trials, split="search"), 1, halves).value)
