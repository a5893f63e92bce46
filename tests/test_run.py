"""A run from its folder, and its fronts on both splits."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ama_ray.analysis.convergence import hypervolume_trace
from ama_ray.api import Run
from ama_ray.errors import UserError
from ama_ray.run import StoredRun
from ama_ray.scores.trial import Trial
from tests.support.runs import OBJECTIVES, run_of, write_run
from tests.support.trials import five_trials, scores, trial

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def reported() -> list[Trial]:
    """A point that the search saw too good, one that it saw too bad, one not scored again, and a twin."""
    return [
        trial(0, 0.0, 0.0, 0.0, report=(0.0, 0.0)),
        trial(1, 4.0, 4.0, 1.0, report=(2.0, 2.0)),
        trial(2, 3.0, 1.0, report=(1.0, 1.0)),
        trial(3, 2.9, 1.1, report=(1.5, 0.5)),
        trial(4, 3.5, 1.5),
        Trial(5, "stopped", "sampler", {"a": 0.3, "b": 0.7}, scores((9.0, -9.0))),
        Trial(6, "complete", "twin", {"a": 0.5, "b": 0.5}, None, scores((9.0, -9.0))),
    ]


def run_with(trials: list[Trial], points: int = 2) -> StoredRun:
    """A run whose report is of so many points."""
    return run_of(trials, report={"points": points})


def test_the_front_is_made_from_the_report_split_once_that_is_scored() -> None:
    run = run_with(reported())
    assert run.is_reported
    assert run.pareto.split == "report"
    assert [t.number for t in run.pareto.front] == [0, 3, 1]
    assert run.pareto.hypervolume == pytest.approx(1.5 * 1.5 / 4)
    assert run.trials == run.pareto.trials == tuple(reported())


def test_a_uniform_point_stays_on_the_front_of_the_report_unless_it_is_beaten_beyond_doubt(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    common, wrong = draw.normal(size=(60, 1)), np.arange(60)[:, None]
    # Reward and wrong answers: the first uniform point is beaten by a little of both, the second one by far.
    made = {0: (0.0, 0), 1: (2.0, 30), 2: (1.0, 8), 7: (0.97, 9), 8: (0.5, 20)}
    items = {n: {"reward": reward + common, "arc": (wrong >= bad).astype(float)} for n, (reward, bad) in made.items()}
    ratios = {0: 0.0, 1: 1.0, 7: 0.3, 8: 0.4}
    trials = [
        Trial(n, "complete", "baseline", dict.fromkeys("ab", ratios[n]), None, OBJECTIVES.scores(each, items[0]))
        if n in ratios
        else Trial(n, "complete", "sampler", {"a": 0.1, "b": 0.9}, None, OBJECTIVES.scores(each, items[0]))
        for n, each in items.items()
    ]
    run = run_of([replace(t, search=t.report) for t in trials], tmp_path)
    assert [t.number for t in run.pareto.front] == [0, 2, 1]
    for number, each in items.items():
        run.items.write("report", number, each)
    known = run.with_trials(run.trials)
    assert [t.number for t in known.pareto.front] == [0, 2, 7, 1]
    assert [t.number for t in known.pareto.unbeaten] == [t.number for t in known.searched_pareto.front] == [0, 2, 1]


def test_the_front_of_the_search_is_what_the_search_saw() -> None:
    run = run_with(reported())
    assert run.searched_pareto.split == "search"
    assert [t.number for t in run.searched_pareto.front] == [0, 2, 4, 1]
    assert run.searched_pareto.hypervolume == pytest.approx((3.0 * 3.0 + 0.5 * 2.5) / 16)
    assert run.pareto_of(run.trials[:3], "search").trials == run.trials[:3]


def test_optimism_is_what_the_same_points_lose() -> None:
    # The search's front is trials 0, 2, 4, 1, of which 4 was not scored again: 3 x 3 of 16, and 1 x 1 of 4.
    assert run_with(reported()).optimism.value == pytest.approx(9 / 16 - 1 / 4)


def test_what_breaks_a_bound_by_the_report_wins_nothing_there() -> None:
    trials = [
        trial(0, 0.0, 0.0, 0.0, report=(0.0, 0.0)),
        trial(1, 4.0, 4.0, 1.0, report=(4.0, 4.0)),
        trial(2, 3.0, 0.9, report=(3.0, 1.1)),
        trial(3, 2.0, 0.8, report=(2.0, 0.8)),
    ]
    run = run_of(trials, constraints={"tax": "<= 1"})
    assert run.pareto.split == "report"
    assert [t.number for t in run.pareto.front] == [0, 3]
    assert [t.number for t in run.searched_pareto.front] == [0, 3, 2]
    assert run.optimism.value == pytest.approx(run.searched_pareto.hypervolume - run.pareto.hypervolume)
    assert run.optimism.value > 0.1


def test_before_the_report_there_is_no_optimism() -> None:
    run = run_with([replace(t, report=None) for t in reported()])
    assert run.pareto is run.searched_pareto
    assert math.isnan(run.optimism.value)


def test_the_report_counts_once_base_aligned_and_the_front_or_enough_points_are_in_it() -> None:
    half = [t if t.number else replace(t, report=None) for t in reported()]
    assert not run_with(half).is_reported
    # Trial 4 of the front is not in it.
    assert not run_with(reported(), points=3).is_reported
    # But once the run has ended, its budget has not allowed more.
    all_there = run_with(reported(), points=3)
    assert all_there.with_trials(all_there.trials, ended=True).is_reported
    without_points = [t for t in all_there.trials if t.number in (0, 1, 4)]
    assert not all_there.with_trials(without_points, ended=True).is_reported
    failed_there = [replace(t, reason="no memory") if t.number == 4 else t for t in reported()]
    assert run_with(failed_there, points=3).is_reported


def test_uniform_points_in_the_report_do_not_hide_a_search_that_goes_on() -> None:
    run = run_with([t if t.number in (0, 1) else replace(t, report=None) for t in reported()[:-1]])
    assert run.pareto.split == "search"
    assert 2 in {t.number for t in run.pareto.front}


def test_what_was_searched_are_no_twins_and_no_uniform_points_of_the_report_alone() -> None:
    lost = {"a": 0.25, "b": 0.75}
    more = [
        Trial(7, "complete", "baseline", {"a": 0.3, "b": 0.3}, None, scores((1.0, 1.0))),
        Trial(8, "failed", "sampler", lost, reason="no"),
        Trial(9, "failed", "baseline", {"a": 0.5, "b": 0.5}, reason="no"),
        Trial(10, "failed", "baseline", {"a": 0.3, "b": 0.3}, reason="no"),
        Trial(11, "failed", "twin", lost, reason="no"),
    ]
    # The search starts from 0, 0.5 and 1; the report adds the other uniform points.
    assert [t.number for t in run_with([*reported(), *more]).searched] == [0, 1, 2, 3, 4, 5, 8, 9]


def test_a_run_that_goes_on_is_the_same_with_other_trials() -> None:
    run = run_of(five_trials(), test_data=("arc",), constraints={"family.reasoning": "<= 1"})
    before = run.with_trials(run.trials[:2])
    assert type(before) is type(run) is Run
    assert before.trials == run.trials[:2]
    assert (before.config, before.objectives, before.test_data) == (run.config, run.objectives, ("arc",))
    assert before.constraints == run.constraints
    assert run.constraints.families == {"reasoning": ("arc",)}


def test_a_family_that_there_is_not_is_told() -> None:
    with pytest.raises(UserError, match="there is no family 'sense'; there are reasoning"):
        _ = run_of([], constraints={"family.sense": "<= 1"}).constraints


def test_convergence_uses_items_where_there_are_any(tmp_path: Path) -> None:
    run = run_of(five_trials(), tmp_path)
    bare = run.convergence()
    assert [step.hypervolume for step in bare[1:]] == [
        step.hypervolume for step in hypervolume_trace(run.searched_pareto, run.searched)[1:]
    ]
    assert math.isnan(bare[-1].held_out.value)
    draw = np.random.default_rng(0)
    items: dict[int, dict[str, NDArray[np.float64]]] = {}
    for t in run.trials:
        rewards, right = t.reward + draw.normal(size=(20, 1)), (np.arange(20) > 20 * t.tax)[:, None]
        items[t.number] = {"reward": rewards, "arc": right.astype(np.float64)}
    for number, each in items.items():
        run.items.write("search", number, each)
    last = run.convergence()[-1]
    assert last == hypervolume_trace(run.searched_pareto, run.searched, OBJECTIVES, items)[-1]
    assert last.hypervolume == bare[-1].hypervolume
    assert math.isfinite(last.held_out.value)


def test_a_folder_is_read_as_it_was_written(tmp_path: Path) -> None:
    run = run_of(five_trials(), tmp_path / "run", test_data=("arc",), constraints={"tax": "<= 0.3"})
    found = StoredRun.open(write_run(run))
    assert (found.folder, found.config, found.objectives) == (run.folder, run.config, run.objectives)
    assert (found.trials, found.test_data, found.constraints) == (run.trials, run.test_data, run.constraints)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("run.yaml", "not the folder of a run, as it has no run.yaml"),
        ("trials.csv", r"trials\.csv: there is no such file"),
        ("objectives.json", r"objectives\.json: missing"),
    ],
)
def test_a_folder_without_one_of_its_files_is_refused(file: str, words: str, tmp_path: Path) -> None:
    (write_run(run_of(five_trials(), tmp_path)) / file).unlink()
    with pytest.raises(UserError, match=words):
        StoredRun.open(tmp_path)
