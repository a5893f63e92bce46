from __future__ import annotations

import numpy as np
import pytest

from ama_ray.analysis.importance import LEAST_TRIALS, importance
from ama_ray.scores.trial import Trial
from tests.support.trials import scores

SLOPES = np.array([0.0, 2.0, 0.1, 0.5, 1.0, 0.0])


def trials(count: int, seed: int = 0, slopes: np.ndarray = SLOPES) -> list[Trial]:
    draw = np.random.default_rng(seed)
    found = []
    for number in range(count):
        ratios = np.full(len(slopes), number / 2) if number < 3 else draw.uniform(0, 1, len(slopes))
        reward = float(slopes @ ratios + slopes @ (ratios * (1 - ratios)) / 2 + draw.normal(0, 0.02))
        groups = {f"layer.{i}": float(ratio) for i, ratio in enumerate(ratios)}
        found.append(Trial(number, "complete", "sampler", groups, scores((reward, float(draw.normal())))))
    return found


def test_effects_are_found_with_their_errors() -> None:
    reward, tax = importance(trials(60))
    assert (reward.objective, reward.trials, tax.objective) == ("reward", 60, "tax")
    assert [effect.value for effect in reward.groups] == pytest.approx(SLOPES, abs=0.15)
    assert reward.r2 > 0.95
    assert tax.r2 < 0.3  # noise


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    held = []
    for seed in range(25):
        slopes = np.random.default_rng(seed).exponential(1, 6)
        effects = importance(trials(25, seed, slopes))[0].groups
        held += [effect.low <= slope <= effect.high for effect, slope in zip(effects, slopes, strict=True)]
    assert 0.85 < np.mean(held) <= 1


def test_nothing_is_said_of_too_little() -> None:
    assert importance([]) == []
    assert importance(trials(LEAST_TRIALS + 1)) == []
    one_group = [Trial(n, "complete", "sampler", {"all": n / 30}, scores((n, n))) for n in range(30)]
    assert importance(one_group) == []
    same = [Trial(t.number, "complete", "sampler", t.ratios, scores((1.0, 0.1))) for t in trials(30)]
    assert importance(same) == []


def test_a_fixed_mean_ratio_is_no_obstacle() -> None:
    moved = []
    for trial in trials(40):
        ratios = np.array([*trial.ratios.values()])
        groups = dict(zip(trial.ratios, (ratios - ratios.mean() + 0.5).tolist(), strict=True))
        moved.append(Trial(trial.number, "complete", "sampler", groups, trial.search))
    effects = importance(moved)[0].groups
    assert all(np.isfinite([effect.low, effect.high]).all() for effect in effects)
