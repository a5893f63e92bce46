from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from ama_ray.report.text.summary import gist, sentence
from ama_ray.scores.trial import Trial
from tests.support.runs import run_of
from tests.support.trials import scores
from tests.support.trials import trial as made_up

if TYPE_CHECKING:
    from ama_ray.run import StoredRun

trial = partial(made_up, errors=(0.04, 0.002))
BASE, ALIGNED = trial(0, -0.2, 0.0, 0.0), trial(10, 4.1, 0.258, 1.0)


def test_it_tells_the_knee_and_the_best_uniform_point() -> None:
    told = sentence(run_of([BASE, ALIGNED, trial(3, 3.28, 0.03, 0.3), trial(41, 3.98, 0.031)]))
    assert told.startswith(
        "The knee (trial 41) keeps 97% of the reward that alignment won (3.98 ± 0.04; base -0.20 ± 0.04, aligned "
        "4.10 ± 0.04) at 12% of its tax (0.031 ± 0.002; aligned 0.258 ± 0.002); the best uniform point at no more "
        "tax (ratio 0.3) keeps 81% (3.28 ± 0.04) at 12% of its tax (0.030 ± 0.002). Hypervolume"
    )
    assert told.endswith("± is one standard error.")


def test_the_gist_is_how_the_sentence_begins_and_has_no_notes() -> None:
    failed = [Trial(11, "failed", "sampler", {"a": 0.1, "b": 0.2}, reason="oom")]
    no_trade = [BASE, trial(10, -1.0, 0.258, 1.0)]
    for trials in ([BASE, ALIGNED, trial(41, 3.98, 0.031)], [BASE, ALIGNED, trial(5, 0.0, 0.2)], no_trade, failed):
        run = run_of(trials)
        assert sentence(run).startswith(gist(run))
        assert not {"Hypervolume", "standard error"} & set(gist(run).split())


def test_a_knee_that_is_uniform_is_called_so() -> None:
    told = sentence(run_of([BASE, ALIGNED, trial(3, 3.28, 0.03, 0.3)]))
    assert "it is the uniform point at ratio 0.3" in told


def test_a_knee_cheaper_than_every_uniform_point() -> None:
    told = sentence(run_of([BASE, ALIGNED, trial(5, 4.2, -0.01)]))
    assert "keeps 102%" in told
    assert "at none of its tax (-0.010 ± 0.002;" in told
    assert "no uniform point has as little tax" in told


def test_nothing_above_the_line() -> None:
    told = sentence(run_of([BASE, ALIGNED, trial(5, 0.0, 0.2)]))
    assert told.startswith("No averaging found is above the straight line from base to aligned. Hypervolume")
    assert "knee" not in told


@pytest.mark.parametrize(
    ("aligned", "why"),
    [
        (
            trial(10, 4.1, -0.01, 1.0),
            "the aligned model costs no tax (aligned minus base -0.01, 95% interval ",
        ),
        (
            trial(10, -1.0, 0.258, 1.0),
            "the aligned model does not raise the reward (aligned minus base -0.8, 95% interval ",
        ),
    ],
)
def test_no_trade_is_said_plainly(aligned: Trial, why: str) -> None:
    told = sentence(run_of([BASE, aligned, trial(5, 4.5, 0.03)]))
    assert told.startswith(f"There is no trade between base and aligned to improve: {why}")
    assert "The highest reward is 4.50" in told
    assert "trial 5" in told


def test_only_the_baselines_are_complete() -> None:
    failed = [Trial(n, "failed", "sampler", {"a": 0.1, "b": 0.2}, reason="oom") for n in (11, 12)]
    told = sentence(run_of([BASE, ALIGNED, trial(3, 3.28, 0.03, 0.3), *failed]))
    assert "The knee (trial 3)" in told
    assert sentence(run_of(failed)) == "No trial is complete; the last of 2 failures: oom."
    assert sentence(run_of([])) == "No trial is complete."


def test_a_run_cut_off_before_aligned() -> None:
    assert "the aligned model has no complete trial" in sentence(run_of([BASE, trial(1, 0.5, 0.01, 0.1)]))


def test_the_search_split_is_told() -> None:
    told = sentence(run_of([BASE, ALIGNED, trial(41, 3.98, 0.031)]))
    assert "All numbers are from the search split, by which the points were chosen" in told
    assert "fooled" not in told


def test_the_report_split_is_told_with_how_much_the_search_fooled_itself() -> None:
    told = sentence(
        run_of(
            [
                trial(0, 0.0, 0.0, 0.0, report=(1.0, 0.0)),
                trial(1, 4.0, 0.4, 1.0, report=(5.0, 0.2)),
                trial(2, 3.0, 0.1, report=(3.0, 0.1)),
            ]
        )
    )
    # Search: 3/4 of the height for 3/4 of the width, and the last quarter for nothing; report: half for half.
    assert "front 0.250, uniform 0.000, difference 0.250; on the search split 0.562. The search" in told
    assert "fooled itself by 0.312 (hypervolume of the points of its front, search minus report split)" in told
    assert "All numbers are from the report split" in told


def test_several_rewards_are_told_one_by_one() -> None:
    def of(number: int, values: tuple[float, ...], ratio: float | None = None) -> Trial:
        made = trial(number, 0.0, 0.0, ratio)
        return replace(made, search=scores(values, (0.1, 0.1, 0.01), ("helpful", "harmless", "tax")))

    ends = [of(0, (0.0, 10.0, 0.0), 0.0), of(1, (4.0, 20.0, 0.4), 1.0)]
    told = sentence(run_of([*ends, of(2, (1.0, 12.0, 0.05), 0.3), of(3, (3.0, 19.0, 0.1))]))
    assert told.startswith(
        "The knee (trial 3) keeps 75% of the reward helpful that alignment won (3.00 ± 0.10; base 0.00 ± 0.10, aligned "
        "4.00 ± 0.10) and 90% of the reward harmless that alignment won (19.0 ± 0.1; base 10.0 ± 0.1, aligned "
        "20.0 ± 0.1) at 25% of its tax (0.100 ± 0.010; aligned 0.400 ± 0.010); the best uniform point at no more tax "
        "(ratio 0.3) keeps 25% of helpful (1.00 ± 0.10) and 20% of harmless (12.0 ± 0.1) at 12% of its tax"
    )
    flat = sentence(run_of([ends[0], of(1, (4.0, 9.0, 0.4), 1.0), of(3, (3.0, 19.0, 0.1))]))
    assert "the aligned model does not raise the reward harmless (aligned minus base -1, " in flat
    assert "The highest reward helpful is" in flat


def test_test_data_is_told_first(test_data_run: StoredRun) -> None:
    assert sentence(test_data_run).startswith("The search used test data (allow_test_split): scores on arc are no test")
    unused = run_of(test_data_run.trials, allow_test_split=True)
    assert sentence(unused).startswith("The knee")


def test_constraints_and_the_reference_are_told(bounded: StoredRun) -> None:
    told = sentence(bounded)
    assert (
        f"Front: trials with tax <= 0.1; {len(bounded.pareto.left_out)} of {len(bounded.pareto.scored)} left out."
        in told
    )
    assert "Hypervolume counts from reward 1.5, tax 0.09 on." in told
    assert f"front {bounded.pareto.hypervolume:.3f}, uniform {bounded.pareto.uniform_hypervolume:.3f}" in told
    assert told.startswith(f"The knee (trial {bounded.pareto.pick('knee').number})")


def test_the_nearest_trial_is_told_where_none_satisfies_the_constraints(unsatisfied: StoredRun) -> None:
    top = max(unsatisfied.pareto.scored, key=lambda trial: trial.reward)
    told = sentence(unsatisfied)
    nearest = f"the nearest is trial {top.number} (reward {top.reward:.4g}"
    assert told.startswith(f"No trial satisfies reward >= 99; {nearest}")
    assert told.endswith("± is one standard error.")


def test_no_uniform_point_satisfies_the_constraints() -> None:
    trials = [BASE, ALIGNED, trial(3, 3.28, 0.03, 0.3), trial(41, 3.98, 0.031)]
    told = sentence(run_of(trials, constraints={"reward": ">= 3.5"}))
    assert "no uniform point that satisfies the constraints has as little tax" in told
