"""Fronts, what is picked of them, and their hypervolume, against loops over all trials."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ama_ray.errors import UserError
from ama_ray.pareto.pareto_set import ParetoSet
from ama_ray.scores.constraints import Constraints
from ama_ray.scores.objectives import Objectives
from ama_ray.scores.trial import Trial
from tests.support.objective_points import beats, coordinate, spaces
from tests.support.trials import scores, trial

points = st.lists(st.tuples(coordinate, coordinate), max_size=30)


def trials_at(objectives: list[tuple[float, float]], aligned: tuple[float, float] = (4.0, 4.0)) -> list[Trial]:
    ends = [trial(0, 0.0, 0.0, 0.0), trial(1, *aligned, 1.0)]
    return [*ends, *(trial(number, *at) for number, at in enumerate(objectives, start=2))]


@given(points)
def test_the_front_rises_and_never_falls_below_the_uniform_one(objectives: list[tuple[float, float]]) -> None:
    pareto = ParetoSet(trials_at(objectives))
    assert all(a.reward < b.reward and a.tax < b.tax for a, b in zip(pareto.front, pareto.front[1:], strict=False))
    assert pareto.hypervolume >= pareto.uniform_hypervolume - 1e-12
    assert list(pareto) == list(pareto.front)
    assert len(pareto) == len(pareto.front)


@given(points, st.lists(st.tuples(coordinate, coordinate), max_size=5))
def test_undecided_uniform_points_stay_on_the_front_and_are_not_picked(
    objectives: list[tuple[float, float]], uniform: list[tuple[float, float]]
) -> None:
    between = [trial(100 + n, *at, ratio=(n + 1) / 10) for n, at in enumerate(uniform)]
    trials = [*trials_at(objectives), *between]
    plain, pareto = ParetoSet(trials), ParetoSet(trials, undecided=[t.number for t in between])
    assert {t.number for t in pareto.front} == {t.number for t in (*plain.front, *between)}
    assert [t.tax for t in pareto.front] == sorted(t.tax for t in pareto.front)
    assert pareto.unbeaten == plain.front
    assert {t.number for t in pareto.uniform_front} == {t.number for t in (*plain.uniform_front, *between)}
    assert pareto.hypervolume == pytest.approx(plain.hypervolume)
    assert pareto.uniform_hypervolume == pytest.approx(plain.uniform_hypervolume)
    assert pareto.pick(max_tax=4.0) == plain.pick(max_tax=4.0)
    assert pareto.pick("knee") == plain.pick("knee")
    assert pareto.with_trials(trials_at(objectives)).undecided == pareto.undecided


def test_an_undecided_point_satisfies_the_constraints() -> None:
    bound = Constraints.parse({"tax": "<= 1"}, Objectives((), ()))
    trials = [*trials_at([(3.0, 0.5)]), trial(9, 2.0, 0.6, 0.4), trial(10, 2.9, 1.1, 0.6)]
    assert [t.number for t in ParetoSet(trials, bound, undecided=[9, 10]).front] == [0, 2, 9]


@given(points, coordinate)
def test_max_tax_picks_the_highest_reward(objectives: list[tuple[float, float]], limit: float) -> None:
    pareto = ParetoSet(trials_at(objectives))
    allowed = [t for t in pareto.trials if t.tax <= limit]
    if not allowed:
        with pytest.raises(UserError, match="the least is trial"):
            pareto.pick(max_tax=limit)
    else:
        assert pareto.pick(max_tax=limit).reward == max(t.reward for t in allowed)


@given(points, coordinate)
def test_min_reward_picks_the_least_tax(objectives: list[tuple[float, float]], limit: float) -> None:
    pareto = ParetoSet(trials_at(objectives))
    allowed = [t for t in pareto.trials if t.reward >= limit]
    if not allowed:
        with pytest.raises(UserError, match="the highest is trial"):
            pareto.pick(min_reward=limit)
    else:
        assert pareto.pick(min_reward=limit).tax == min(t.tax for t in allowed)


@given(points, coordinate, coordinate)
def test_the_knee_wins_most_over_the_line(objectives: list[tuple[float, float]], most: float, least: float) -> None:
    pareto = ParetoSet(trials_at(objectives))

    def over_line(t: Trial) -> float:
        return t.reward / 4 - t.tax / 4

    assert over_line(pareto.pick("knee")) == pytest.approx(max(over_line(t) for t in pareto.trials))
    assert pareto.pick() == pareto.pick("knee")
    allowed = [t for t in pareto.trials if t.tax <= most and t.reward >= least]
    assume(allowed)
    assert over_line(pareto.pick(max_tax=most, min_reward=least)) == pytest.approx(max(map(over_line, allowed)))


def test_the_knee_under_one_constraint() -> None:
    pareto = ParetoSet(trials_at([(3.0, 0.5), (3.1, 1.9)]))
    assert pareto.pick("knee", max_tax=2.0).number == 2
    assert pareto.pick(max_tax=2.0).number == 3


def test_constraints_that_only_fail_together_name_the_nearest_point() -> None:
    pareto = ParetoSet(trials_at([(3.0, 0.5)]))
    with pytest.raises(UserError, match=r"with tax at most 1 has reward at least 3.5; the highest is trial 2 \(rew"):
        pareto.pick(max_tax=1.0, min_reward=3.5)


@pytest.mark.parametrize(("aligned", "why"), [((4.0, 0.0), "costs no tax"), ((-1.0, 1.0), "does not raise the rew")])
def test_without_a_trade_there_is_no_knee(aligned: tuple[float, float], why: str) -> None:
    pareto = ParetoSet(trials_at([(2.0, -0.5)], aligned))
    assert why in pareto.no_trade
    assert why in repr(pareto)
    assert math.isnan(pareto.hypervolume)
    with pytest.raises(UserError, match=why):
        pareto.pick("knee")
    assert pareto.pick(max_tax=0.0).reward == max(2.0, aligned[0])


def test_a_run_without_its_endpoints_says_so() -> None:
    pareto = ParetoSet([trial(3, 1.0, 0.1), Trial(0, "failed", "baseline", {"a": 0.0, "b": 0.0}, reason="oom")])
    assert pareto.no_trade == "the base model has no complete trial (uniform ratio 0)"
    assert pareto.pick(max_tax=0.2).number == 3
    with pytest.raises(UserError, match="base model has no complete trial"):
        _ = pareto.base
    with pytest.raises(UserError, match="No trial is complete"):
        ParetoSet([]).pick(max_tax=1.0)


def several(values: list[tuple[float, ...]], names: tuple[str, ...] = ("helpful", "harmless", "tax")) -> list[Trial]:
    """Base, aligned, and points between, in the objectives of `names`."""
    made = [trial(0, 0, 0, 0.0), trial(1, 0, 0, 1.0), *(trial(number, 0, 0) for number in range(2, 2 + len(values)))]
    ends = [(0.0,) * len(names), (4.0,) * len(names)]
    return [replace(each, search=scores(at, names=names)) for each, at in zip(made, [*ends, *values], strict=True)]


@given(spaces(3))
def test_fronts_and_picks_of_several_rewards(space: tuple[int, list[tuple[float, ...]]]) -> None:
    count, values = space
    names = (*("helpful", "harmless", "honest")[: count - 1], "tax")
    pareto = ParetoSet(several(values, names))
    assert pareto.objectives == names
    everything = [tuple(e.value for e in t.objectives.values()) for t in pareto.trials]
    unbeaten = {at for at in everything if not any(beats(other, at) for other in everything)}
    assert {tuple(e.value for e in t.objectives.values()) for t in pareto.front} == unbeaten
    assert len(pareto.front) == len(unbeaten)
    assert [t.tax for t in pareto.front] == sorted(t.tax for t in pareto.front)
    assert pareto.hypervolume >= pareto.uniform_hypervolume - 1e-12

    def gain(t: Trial) -> float:
        return sum(t.objectives[name].value / 4 for name in names[:-1]) / (count - 1)

    assert gain(pareto.pick(max_tax=2.0)) == pytest.approx(max(gain(t) for t in pareto.trials if t.tax <= 2))
    knee = pareto.pick("knee")
    assert gain(knee) - knee.tax / 4 == pytest.approx(max(gain(t) - t.tax / 4 for t in pareto.trials))
    enough = [t for t in pareto.trials if t.objectives["harmless"].value >= 3 and t.objectives["helpful"].value >= 1]
    picked = pareto.pick(min_reward={"harmless": 3.0, "helpful": 1.0})
    assert picked.tax == min(t.tax for t in enough)


def test_bounds_on_several_rewards_name_them() -> None:
    pareto = ParetoSet(several([(3.0, 1.0, 0.5), (1.0, 3.0, 0.5)]))
    assert pareto.pick(min_reward={"helpful": 2.0}).number == 2
    with pytest.raises(UserError, match="there are the rewards helpful, harmless; say which one by its name"):
        pareto.pick(min_reward=2.0)
    with pytest.raises(UserError, match=r"no reward 'honest'; there are: helpful, harmless"):
        pareto.pick(min_reward={"honest": 2.0})
    told = r"with helpful at least 2 has harmless at least 5; the highest is trial 1 \(helpful 4, harmless 4, tax 4\)"
    with pytest.raises(UserError, match=told):
        pareto.pick(min_reward={"helpful": 2.0, "harmless": 5.0})


def test_a_reward_that_alignment_does_not_raise_leaves_no_trade() -> None:
    trials = several([(3.0, 1.0, 0.5)])
    trials[1] = replace(trials[1], search=scores((4.0, 0.0, 4.0), names=("helpful", "harmless", "tax")))
    pareto = ParetoSet(trials)
    assert pareto.no_trade.startswith("the aligned model does not raise the reward harmless (aligned minus base 0, ")
    assert math.isnan(pareto.hypervolume)
    assert pareto.pick(min_reward={"helpful": 2.0}).number == 2
    with pytest.raises(UserError, match=r"no way to weigh several rewards.*does not raise the reward harmless"):
        pareto.pick(max_tax=1.0)


def reported() -> list[Trial]:
    """Base, aligned, and two points on both splits; then a stopped trial and a twin, which would beat them all."""
    return [
        trial(0, 0.0, 0.0, 0.0, report=(0.0, 0.0)),
        trial(1, 4.0, 4.0, 1.0, report=(2.0, 2.0)),
        trial(2, 3.0, 1.0, report=(1.0, 1.0)),
        trial(3, 2.9, 1.1, report=(1.5, 0.5)),
        Trial(5, "stopped", "sampler", {"a": 0.3, "b": 0.7}, scores((9.0, -9.0))),
        Trial(6, "complete", "twin", {"a": 0.5, "b": 0.5}, None, scores((9.0, -9.0))),
    ]


def test_a_front_is_of_one_split_and_so_are_its_trials() -> None:
    report, search = ParetoSet(reported(), split="report"), ParetoSet(reported())
    assert (report.split, search.split) == ("report", "search")
    assert [t.number for t in report.front] == [0, 3, 1]
    assert [(t.reward, t.tax) for t in report.front] == [(0.0, 0.0), (1.5, 0.5), (2.0, 2.0)]
    assert [t.number for t in search.front] == [0, 2, 1]
    for each in (report, search):
        assert {t.split for t in (*each, *each.uniform, each.base, each.aligned)} == {each.split}
        assert each.trials == tuple(reported())
        assert f"{each.split} split" in repr(each)
    # From the corner (0, 2): 1.5 for 1.5, of 2 x 2; aligned adds nothing at tax 2.
    assert report.hypervolume == pytest.approx(1.5 * 1.5 / 4)
    assert search.hypervolume == pytest.approx(3.0 * 3.0 / 16)
    assert (report.pick("knee").number, report.pick("knee").reward) == (3, 1.5)


def test_stopped_trials_and_twins_are_on_no_front() -> None:
    report, search = ParetoSet(reported(), split="report"), ParetoSet(reported())
    for each in (report, search):
        assert not {5, 6} & {t.number for t in (*each.front, *each.uniform, *each.uniform_front)}
    assert [t.number for t in report.scored] == [0, 1, 2, 3, 6]
    frame = report.to_pandas()
    assert frame["report.reward"].tolist() == [0.0, 1.5, 2.0]
    assert frame["reward"].tolist() == [0.0, 2.9, 4.0]


def test_the_front_of_other_trials_is_made_alike() -> None:
    pareto = ParetoSet(reported(), Constraints.parse({"tax": "<= 1"}, Objectives((), ())), {"tax": 1.5}, "report")
    again = pareto.with_trials(pareto.trials[:3])
    assert (again.constraints, again.worst, again.split) == (pareto.constraints, pareto.worst, "report")
    assert again.trials == pareto.trials[:3]
    assert [t.number for t in again] == [0, 2]
    assert again.reference == {"reward": 0.0, "tax": 1.5}


def test_an_unknown_pick_is_refused() -> None:
    with pytest.raises(UserError, match="'best' is not a pick"):
        ParetoSet(trials_at([])).pick("best")  # type: ignore[arg-type]


def test_only_baselines_are_uniform() -> None:
    like_uniform = Trial(5, "complete", "sampler", {"a": 0.5, "b": 0.5}, scores((3.0, 0.5)))
    mixed = [like_uniform, trial(1, 4.0, 4.0, 1.0), trial(2, 3.0, 1.0, 0.5), trial(0, 0.0, 0.0, 0.0)]
    pareto = ParetoSet(mixed)
    assert [t.number for t in pareto.uniform] == [0, 2, 1]
    assert [t.number for t in pareto.front] == [0, 5, 1]
    assert (pareto.base.number, pareto.aligned.number) == (0, 1)
    assert pareto.hypervolume > pareto.uniform_hypervolume


def test_to_pandas_is_the_front_in_the_columns_of_the_file() -> None:
    frame = ParetoSet(trials_at([(3.0, 0.5), (1.0, 3.0)])).to_pandas()
    assert frame["number"].tolist() == [0, 2, 1]
    assert {"ratio.a", "ratio.b", "reward", "tax", "seconds.swap"} <= set(frame.columns)
