from __future__ import annotations

import math
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from optuna._hypervolume import compute_hypervolume

from ama_ray.config import BASELINE_RATIOS, RunConfig
from ama_ray.errors import UserError
from ama_ray.pareto import ParetoSet, hypervolume, non_dominated
from ama_ray.trial import Origin, Trial
from ama_ray.trials_csv import write_trials

if TYPE_CHECKING:
    from pathlib import Path

# A coarse grid makes ties; floats make everything else.
coordinate = st.integers(-4, 8).map(float) | st.floats(-4, 8)
points = st.lists(st.tuples(coordinate, coordinate), max_size=30)
# On a busy machine a slow example is no failure.
calm = settings(deadline=None)


def trial(number: int, reward: float, tax: float, ratio: float | None = None) -> Trial:
    origin: Origin = "sampler" if ratio is None else "baseline"
    ratios = {"a": 0.3, "b": 0.7} if ratio is None else {"a": ratio, "b": ratio}
    return Trial(number, "complete", origin, ratios, reward, 0.1, tax, 0.01)


def trials_at(objectives: list[tuple[float, float]], aligned: tuple[float, float] = (4.0, 4.0)) -> list[Trial]:
    ends = [trial(0, 0.0, 0.0, 0.0), trial(1, *aligned, 1.0)]
    return [*ends, *(trial(number, *at) for number, at in enumerate(objectives, start=2))]


def beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] >= other[0] and one[1] <= other[1] and one != other


@calm
@given(points)
def test_non_dominated_is_what_nothing_beats(objectives: list[tuple[float, float]]) -> None:
    rewards, taxes = [r for r, _ in objectives], [t for _, t in objectives]
    expected = [
        not any(beats(other, point) for other in objectives) and point not in objectives[:position]
        for position, point in enumerate(objectives)
    ]
    assert non_dominated(rewards, taxes).tolist() == expected


def test_non_dominated_skips_what_is_not_finite() -> None:
    assert non_dominated([1, math.nan, 2, math.inf], [1, 0, math.nan, -1]).tolist() == [True, False, False, False]


@calm
@given(points)
def test_hypervolume_agrees_with_optuna(objectives: list[tuple[float, float]]) -> None:
    base, aligned = (-1.0, 0.0), (5.0, 4.0)
    losses = np.array([(-reward, tax) for reward, tax in objectives]).reshape(-1, 2)
    inside = losses[(losses < (-base[0], aligned[1])).all(axis=1)]
    expected = compute_hypervolume(inside, np.array([-base[0], aligned[1]])) if len(inside) else 0.0
    rewards, taxes = [r for r, _ in objectives], [t for _, t in objectives]
    assert hypervolume(rewards, taxes, base, aligned) == pytest.approx(expected / (6 * 4), abs=1e-9)


def test_hypervolume_agrees_with_monte_carlo() -> None:
    draw = np.random.default_rng(0)
    rewards, taxes = draw.uniform(0, 1, 12), draw.uniform(0, 1, 12)
    darts = draw.uniform(0, 1, (200_000, 2))
    hit = ((darts[:, None, 0] <= rewards) & (darts[:, None, 1] >= taxes)).any(axis=1)
    assert hypervolume(rewards, taxes, (0, 0), (1, 1)) == pytest.approx(hit.mean(), abs=0.005)


def test_hypervolume_counts_what_is_won_beyond_the_endpoints() -> None:
    assert hypervolume([1.5], [-0.5], (0, 0), (1, 1)) == pytest.approx(1.5 * 1.5)


@pytest.mark.parametrize("aligned", [(0.0, 1.0), (-1.0, 1.0), (1.0, 0.0), (1.0, -1.0), (math.nan, 1.0)])
def test_hypervolume_of_an_empty_box_is_nan(aligned: tuple[float, float]) -> None:
    assert math.isnan(hypervolume([1.0], [0.5], (0.0, 0.0), aligned))


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


def test_an_unknown_pick_is_refused() -> None:
    with pytest.raises(UserError, match="'best' is not a pick"):
        ParetoSet(trials_at([])).pick("best")  # type: ignore[arg-type]


def test_only_baselines_are_uniform() -> None:
    like_uniform = Trial(5, "complete", "sampler", {"a": 0.5, "b": 0.5}, 3.0, 0.1, 0.5, 0.1)
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
            "reward": {"prompts": {"file": "p.jsonl"}, "scorer": "s.py:score"},
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


def test_export_averages_the_pair_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: dict[Any, Any] = {}

    class Pair:
        names = ("model.embed_tokens.weight", "model.layers.0.w", "model.layers.1.w", "lm_head.weight")

    monkeypatch.setattr("ama_ray.pair.Pair.open", lambda base, aligned: written.update(pair=(base, aligned)) or Pair())
    monkeypatch.setattr("ama_ray.averaging.export", lambda pair, ratio_of, out: written.update({out: ratio_of}))
    from ama_ray.space import SearchSpace

    run = config(tmp_path)
    groups = SearchSpace.load(run.space).resolve(Pair.names)
    ratios = dict.fromkeys(groups.names, 0.25)
    picked = Trial(4, "complete", "sampler", ratios, 1.0, 0.1, 0.2, 0.1)
    assert ParetoSet([picked], run).export(4, tmp_path / "out") == tmp_path / "out"
    assert written["pair"] == ("org/base", "org/aligned")
    assert written[tmp_path / "out"] == dict.fromkeys(Pair.names, 0.25)


@pytest.mark.parametrize("module", ["ama_ray.pareto", "ama_ray.config", "ama_ray.space"])
def test_light_modules_import_nothing_heavy(module: str) -> None:
    heavy = {"torch", "pandas", "matplotlib", "ray", "vllm", "optuna", "transformers"}
    code = f"import sys, {module}; print(*sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
