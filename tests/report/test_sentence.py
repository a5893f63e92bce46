from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ama_ray.pareto import ParetoSet
from ama_ray.report import sentence
from ama_ray.trial import Trial

if TYPE_CHECKING:
    from ama_ray.trial import Origin


def trial(number: int, reward: float, tax: float, ratio: float | None = None) -> Trial:
    origin: Origin = "sampler" if ratio is None else "baseline"
    ratios = {"a": 0.3, "b": 0.7} if ratio is None else {"a": ratio, "b": ratio}
    return Trial(number, "complete", origin, ratios, reward, 0.04, tax, 0.002)


BASE, ALIGNED = trial(0, -0.2, 0.0, 0.0), trial(10, 4.1, 0.258, 1.0)


def test_it_tells_the_knee_and_the_best_uniform_point() -> None:
    told = sentence(ParetoSet([BASE, ALIGNED, trial(3, 3.28, 0.03, 0.3), trial(41, 3.98, 0.031)]))
    assert told.startswith(
        "The knee (trial 41) keeps 97% of the reward that alignment won (3.98 ± 0.04; base -0.20 ± 0.04, aligned "
        "4.10 ± 0.04) at 12% of its tax (0.031 ± 0.002; aligned 0.258 ± 0.002); the best uniform point at no more "
        "tax (ratio 0.3) keeps 81% (3.28 ± 0.04) at 12% of its tax (0.030 ± 0.002). Hypervolume"
    )
    assert told.endswith("± is one standard error.")


def test_a_knee_that_is_uniform_is_called_so() -> None:
    told = sentence(ParetoSet([BASE, ALIGNED, trial(3, 3.28, 0.03, 0.3)]))
    assert "it is the uniform point at ratio 0.3" in told


def test_a_knee_cheaper_than_every_uniform_point() -> None:
    told = sentence(ParetoSet([BASE, ALIGNED, trial(5, 4.2, -0.01)]))
    assert "keeps 102%" in told
    assert "at none of its tax (-0.010 ± 0.002;" in told
    assert "no uniform point has as little tax" in told


def test_nothing_above_the_line() -> None:
    told = sentence(ParetoSet([BASE, ALIGNED, trial(5, 0.0, 0.2)]))
    assert told.startswith("No averaging found is above the straight line from base to aligned. Hypervolume")
    assert "knee" not in told


@pytest.mark.parametrize(
    ("aligned", "why"),
    [
        (replace(ALIGNED, tax=-0.01), "the aligned model costs no tax (-0.01, base 0)"),
        (replace(ALIGNED, reward=-1.0), "the aligned model does not raise the reward (-1, base -0.2)"),
    ],
)
def test_no_trade_is_said_plainly(aligned: Trial, why: str) -> None:
    told = sentence(ParetoSet([BASE, aligned, trial(5, 4.5, 0.03)]))
    assert told.startswith(f"There is no trade between base and aligned to improve: {why}. The highest reward is 4.50")
    assert "trial 5" in told


def test_only_the_baselines_are_complete() -> None:
    failed = [Trial(n, "failed", "sampler", {"a": 0.1, "b": 0.2}, reason="oom") for n in (11, 12)]
    told = sentence(ParetoSet([BASE, ALIGNED, trial(3, 3.28, 0.03, 0.3), *failed]))
    assert "The knee (trial 3)" in told
    assert sentence(ParetoSet(failed)) == "No trial is complete; the last of 2 failures: oom."
    assert sentence(ParetoSet([])) == "No trial is complete."


def test_a_run_cut_off_before_aligned() -> None:
    assert "the aligned model has no complete trial" in sentence(ParetoSet([BASE, trial(1, 0.5, 0.01, 0.1)]))
