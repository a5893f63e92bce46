from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from optuna._hypervolume import compute_hypervolume

from ama_ray.config import BASELINE_RATIOS, RunConfig
from ama_ray.errors import UserError
from ama_ray.pareto.pareto_set import ParetoSet, hypervolume, non_dominated
from ama_ray.scores.trial import Trial
from ama_ray.storage.records import write_trials
from tests.support.trials import scores, trial

if TYPE_CHECKING:
    from pathlib import Path

# A coarse grid makes ties; floats make everything else.
coordinate = st.integers(-4, 8).map(float) | st.floats(-4, 8)
points = st.lists(st.tuples(coordinate, coordinate), max_size=30)
# On a busy machine a slow example is no failure.
calm = settings(deadline=None)


def trials_at(objectives: list[tuple[float, float]], aligned: tuple[float, float] = (4.0, 4.0)) -> list[Trial]:
    ends = [trial(0, 0.0, 0.0, 0.0), trial(1, *aligned, 1.0)]
    return [*ends, *(trial(number, *at) for number, at in enumerate(objectives, start=2))]


def objectives_of(count: int) -> st.SearchStrategy[list[tuple[float, ...]]]:
    return st.lists(st.tuples(*[coordinate] * count), max_size=30 if count == 2 else 12)


# Points with their number of objectives.
spaces = st.integers(2, 4).flatmap(lambda count: st.tuples(st.just(count), objectives_of(count)))


def beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    rewards = all(a >= b for a, b in zip(one[:-1], other[:-1], strict=True))
    return rewards and one[-1] <= other[-1] and one != other


@calm
@given(spaces)
def test_non_dominated_is_what_nothing_beats(space: tuple[int, list[tuple[float, ...]]]) -> None:
    _, objectives = space
    expected = [
        not any(beats(other, point) for other in objectives) and point not in objectives[:position]
        for position, point in enumerate(objectives)
    ]
    assert non_dominated(objectives).tolist() == expected


def test_non_dominated_skips_what_is_not_finite() -> None:
    assert non_dominated([(1, 1), (math.nan, 0), (2, math.nan), (math.inf, -1)]).tolist() == [True, False, False, False]


@calm
@given(spaces)
def test_hypervolume_agrees_with_optuna(space: tuple[int, list[tuple[float, ...]]]) -> None:
    count, objectives = space
    base, aligned = [-1.0] * (count - 1) + [0.0], [5.0] * (count - 1) + [4.0]
    losses = np.array([(*(-reward for reward in rewards), tax) for *rewards, tax in objectives]).reshape(-1, count)
    worst = np.array([*(-reward for reward in base[:-1]), aligned[-1]])
    inside = losses[(losses < worst).all(axis=1)]
    expected = compute_hypervolume(inside, worst) if len(inside) else 0.0
    assert hypervolume(objectives, base, aligned) == pytest.approx(expected / (6 ** (count - 1) * 4), abs=1e-9)


@calm
@given(spaces)
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


@calm
@given(points)
def test_the_front_rises_and_never_falls_below_the_uniform_one(objectives: list[tuple[float, float]]) -> None:
    pareto = ParetoSet(trials_at(objectives))
    assert all(a.reward < b.reward and a.tax < b.tax for a, b in zip(pareto.front, pareto.front[1:], strict=False))
    assert pareto.hypervolume >= pareto.uniform_hypervolume - 1e-12
    assert list(pareto) == list(pareto.front)
    assert len(pareto) == len(pareto.front)


@calm
@given(points, coordinate)
def test_max_tax_picks_the_highest_reward(objectives: list[tuple[float, float]], limit: float) -> None:
    pareto = ParetoSet(trials_at(objectives))
    allowed = [t for t in pareto.trials if t.tax <= limit]
    if not allowed:
        with pytest.raises(UserError, match="the least is trial"):
            pareto.pick(max_tax=limit)
    else:
        assert pareto.pick(max_tax=limit).reward == max(t.reward for t in allowed)


@calm
@given(points, coordinate)
def test_min_reward_picks_the_least_tax(objectives: list[tuple[float, float]], limit: float) -> None:
    pareto = ParetoSet(trials_at(objectives))
    allowed = [t for t in pareto.trials if t.reward >= limit]
    if not allowed:
        with pytest.raises(UserError, match="the highest is trial"):
            pareto.pick(min_reward=limit)
    else:
        assert pareto.pick(min_reward=limit).tax == min(t.tax for t in allowed)


@calm
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


@calm
@given(st.integers(3, 4).flatmap(lambda count: st.tuples(st.just(count), objectives_of(count))))
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
    assert pareto.no_trade == "the aligned model does not raise the reward harmless (0, base 0)"
    assert math.isnan(pareto.hypervolume)
    assert pareto.pick(min_reward={"helpful": 2.0}).number == 2
    with pytest.raises(UserError, match=r"no way to weigh several rewards.*does not raise the reward harmless"):
        pareto.pick(max_tax=1.0)


def reported() -> list[Trial]:
    """A point that the search saw too good, one that it saw too bad, one not scored again, and a twin."""
    twin = Trial(6, "complete", "twin", {"a": 0.5, "b": 0.5}, None, scores((9.0, -9.0)))
    return [
        trial(0, 0.0, 0.0, 0.0, report=(0.0, 0.0)),
        trial(1, 4.0, 4.0, 1.0, report=(2.0, 2.0)),
        trial(2, 3.0, 1.0, report=(1.0, 1.0)),
        trial(3, 2.9, 1.1, report=(1.5, 0.5)),
        trial(4, 3.5, 1.5),
        Trial(5, "stopped", "sampler", {"a": 0.3, "b": 0.7}, scores((9.0, -9.0))),
        twin,
    ]


def test_the_front_is_made_from_the_report_split_once_that_is_scored() -> None:
    pareto = ParetoSet(reported())
    assert pareto.split == "report"
    assert [t.number for t in pareto.front] == [0, 3, 1]
    assert [(t.reward, t.tax) for t in pareto.front] == [(0.0, 0.0), (1.5, 0.5), (2.0, 2.0)]
    assert {t.split for t in (*pareto.front, *pareto.uniform, pareto.base, pareto.aligned)} == {"report"}
    assert pareto.trials == tuple(reported())
    assert (pareto.pick("knee").number, pareto.pick("knee").reward) == (3, 1.5)
    # From the corner (0, 2): 1.5 for 1.5, of 2 x 2; aligned adds nothing at tax 2.
    assert pareto.hypervolume == pytest.approx(1.5 * 1.5 / 4)
    assert "report split" in repr(pareto)


def test_the_search_split_is_what_the_search_saw() -> None:
    pareto = ParetoSet(reported()).search_split
    assert pareto.split == "search"
    assert [t.number for t in pareto.front] == [0, 2, 4, 1]
    assert pareto.hypervolume == pytest.approx((3.0 * 3.0 + 0.5 * 2.5) / 16)
    assert math.isnan(pareto.optimism)
    assert pareto.search_split.hypervolume == pareto.hypervolume


def test_optimism_is_what_the_same_points_lose() -> None:
    # The search's front is trials 0, 2, 4, 1, of which 4 was not scored again: 3 x 3 of 16, and 1 x 1 of 4.
    assert ParetoSet(reported()).optimism == pytest.approx(9 / 16 - 1 / 4)


def test_the_report_counts_once_base_and_aligned_are_in_it() -> None:
    half = [t if t.number else replace(t, report=None) for t in reported()]
    assert ParetoSet(half).split == "search"


def test_uniform_points_in_the_report_do_not_hide_a_search_that_goes_on() -> None:
    trials = [t if t.number in (0, 1) else replace(t, report=None) for t in reported()[:-1]]
    pareto = ParetoSet(trials)
    assert pareto.split == "search"
    assert 2 in {t.number for t in pareto.front}


def test_stopped_trials_and_twins_are_on_no_front() -> None:
    pareto = ParetoSet(reported())
    for each in (pareto, pareto.search_split):
        assert not {5, 6} & {t.number for t in (*each.front, *each.uniform, *each.uniform_front)}
    assert [t.number for t in pareto.scored] == [0, 1, 2, 3, 6]
    frame = pareto.to_pandas()
    assert frame["report.reward"].tolist() == [0.0, 1.5, 2.0]
    assert frame["reward"].tolist() == [0.0, 2.9, 4.0]


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


def config(out: Path) -> RunConfig:
    return RunConfig.model_validate(
        {
            "base": "org/base",
            "aligned": "org/aligned",
            "reward": {"kind": "function", "prompts": {"file": "p.jsonl"}, "scorer": "s.py:score"},
            "tax": [{"kind": "exact", "name": "qa", "family": "reading", "file": "qa.jsonl"}],
            "trials": len(BASELINE_RATIOS),
            "out": out,
        }
    )


def test_open_reads_a_run_folder(tmp_path: Path) -> None:
    write_trials(tmp_path / "trials.csv", trials_at([(3.0, 0.5)]))
    with pytest.raises(UserError, match=r"no run\.yaml"):
        ParetoSet.open(tmp_path)
    (tmp_path / "run.yaml").write_text(config(tmp_path).to_yaml())
    pareto = ParetoSet.open(tmp_path)
    assert [t.number for t in pareto] == [0, 2, 1]
    assert pareto.config is not None
    assert pareto.config.base == "org/base"
    (tmp_path / "trials.csv").unlink()
    with pytest.raises(UserError, match=r"trials\.csv"):
        ParetoSet.open(tmp_path)


def test_export_refuses_what_it_cannot_write(tmp_path: Path) -> None:
    failed = Trial(7, "failed", "sampler", {"a": 0.1, "b": 0.2}, reason="out of memory")
    pareto = ParetoSet([*trials_at([(3.0, 0.5)]), failed])
    with pytest.raises(UserError, match="no trial 9; the front has trials 0, 2, 1"):
        pareto.export(9, tmp_path / "out")
    with pytest.raises(UserError, match=r"Trial 7 failed \(out of memory\)"):
        pareto.export(7, tmp_path / "out")
    with pytest.raises(UserError, match="does not know its pair"):
        pareto.export(pareto.pick("knee"), tmp_path / "out")


@pytest.mark.parametrize("module", ["ama_ray.pareto.pareto_set", "ama_ray.config", "ama_ray.space.search_space"])
def test_light_modules_import_nothing_heavy(module: str) -> None:
    heavy = {"torch", "pandas", "matplotlib", "ray", "vllm", "optuna", "transformers"}
    code = f"import sys, {module}; print(*sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
