"""The order in which a run's trials are handed out, with a recorder that is told made-up results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from optuna.trial import TrialState
from ray.tune.search import Searcher

from ama_ray.config import BASELINE_RATIOS, FIRST_RATIOS
from ama_ray.storage.records import write_trials
from ama_ray.tuning.recorder import ATTEMPTS
from tests.support.scheduled_run import POINTS, TRIALS, Run, run_to_the_end

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.scores.trial import Trial


def test_the_search_comes_first_then_the_points_to_score_again_and_last_the_twin_of_the_knee(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run_to_the_end(run)
    searched = [i for i, config in enumerate(run.asked) if config["split"] == "search"]
    assert [run.asked[i]["number"] for i in searched] == list(range(TRIALS))
    again = [config for config in run.asked if config["split"] == "report"]
    uniform = [config["number"] for config in again if config["origin"] == "baseline"]
    # Those that the search did not start from are numbered after it.
    others = len(BASELINE_RATIOS) - len(FIRST_RATIOS)
    assert sorted(uniform) == [*range(len(FIRST_RATIOS)), *range(TRIALS, TRIALS + others)]
    chosen = [i for i, c in enumerate(run.asked) if c["split"] == "report" and c["origin"] == "sampler"]
    assert 0 < len(chosen) <= POINTS
    assert min(chosen) > max(searched)
    twin = run.asked[-1]
    assert (twin["origin"], twin["number"], len(set(twin["ratios"].values()))) == ("twin", TRIALS + others, 1)
    assert run.recorder.run.trials[-1].report is not None


def test_an_idle_engine_gets_a_uniform_point_while_the_sampler_thinks(tmp_path: Path) -> None:
    run = Run(tmp_path, slots=2)
    for position in range(len(FIRST_RATIOS)):
        assert run.next()["split"] == "search"
        run.finish(position)
    sampler: Any = run.suggester
    thinking = sampler.suggest
    sampler.suggest = lambda wait=0.0: None if wait is not None else thinking(None)
    first = [run.searcher.suggest(str(100 + i)) for i in range(2)]
    assert [(config["split"], config["origin"]) for config in first if isinstance(config, dict)] == [
        ("report", "baseline")
    ] * 2
    # Both engines are at work, so Tune may ask again.
    assert run.searcher.suggest("102") is None


def test_no_engine_waits_for_the_last_trials_of_the_search(tmp_path: Path) -> None:
    run = Run(tmp_path, slots=0)  # so that none is ever idle
    for _ in range(TRIALS):
        assert run.next()["split"] == "search"
        if len(run.asked) < TRIALS:
            run.finish(len(run.asked) - 1)
    run.slots = 20
    for _ in BASELINE_RATIOS:
        assert run.next()["split"] == "report"
    # The points are chosen once all of the search is known.
    assert run.next(patience=3) is None
    run.finish(TRIALS - 1)
    assert run.next()["origin"] == "sampler"


def test_a_search_of_the_baseline_alone_ends_with_all_of_it_reported(tmp_path: Path) -> None:
    run = Run(tmp_path, slots=2, trials=len(FIRST_RATIOS))
    for position in range(len(FIRST_RATIOS)):
        run.next()
        if position < len(FIRST_RATIOS) - 1:
            run.finish(position)
    run.slots = 20
    for _ in range(len(BASELINE_RATIOS) - 1):
        assert run.next()["split"] == "report"
    run.finish(len(FIRST_RATIOS) - 1)
    assert run.next()["number"] == len(FIRST_RATIOS) - 1


def test_a_trial_whose_engine_dies_is_handed_out_again_as_the_same_trial(tmp_path: Path) -> None:
    run = Run(tmp_path)
    dies = {4: 1, 7: ATTEMPTS - 1, 9: ATTEMPTS}
    attempts: dict[int, list[dict[str, Any]]] = {}
    while (config := run.next()) != Searcher.FINISHED:
        if config["split"] == "search":
            attempts.setdefault(config["number"], []).append(config)
        error = config["split"] == "search" and config["attempt"] <= dies.get(config["number"], 0)
        run.finish(len(run.asked) - 1, error=error)
    assert len(attempts) == TRIALS
    for number, asked in attempts.items():
        assert [each["attempt"] for each in asked] == list(range(1, min(ATTEMPTS, dies.get(number, 0) + 1) + 1))
        assert len({tuple(each["ratios"].values()) for each in asked}) == 1
    states = {trial.number: trial.state for trial in run.recorder.run.trials}
    assert [number for number, state in states.items() if state == "failed"] == [9]
    stored = {each.user_attrs["number"]: each.state.name for each in run.study.get_trials()}
    assert stored == {n: "FAIL" if n == 9 else "COMPLETE" for n in range(TRIALS)}


@pytest.mark.parametrize("lost", [0, TRIALS - 1])
def test_a_failed_trial_holds_nothing_up(tmp_path: Path, lost: int) -> None:
    run = Run(tmp_path)
    run_to_the_end(run, lost)
    report = [config["number"] for config in run.asked if config["split"] == "report"]
    assert lost not in report
    assert len(report) >= len(BASELINE_RATIOS) - 1


def test_no_more_are_handed_out_than_engines_and_one(tmp_path: Path) -> None:
    run = Run(tmp_path, slots=1)
    assert [run.next(), run.next()] == run.asked
    assert run.next(patience=3) is None
    run.slots = 2
    assert run.next() is not None
    run.finish(0)
    assert run.next(patience=3) is None  # aligned may still show that there is no trade
    run.finish(1)
    assert run.next() is not None


@pytest.mark.parametrize("under_way", [1, 2])
@pytest.mark.parametrize("killed_after", [0, 2, 8, TRIALS - 1, TRIALS + 4, 200])
def test_a_killed_run_goes_on_without_a_trial_lost_or_doubled(
    tmp_path: Path, killed_after: int, under_way: int
) -> None:
    killed = Run(tmp_path / "killed", slots=under_way)
    while len(killed.asked) < killed_after and isinstance(killed.next(), dict):
        if len(killed.asked) >= under_way:
            killed.finish(len(killed.asked) - under_way)
    if asked := killed.suggester._asked:
        asked.result()  # its thread would die with the process
    finished = [trial for trial in killed.recorder.run.trials if trial.search or trial.report]
    (tmp_path / "killed" / "study.journal").open("a").write('{"op_code": 4, "worker')
    write_trials(tmp_path / "killed" / "trials.csv", killed.recorder.run.trials)

    again = Run(tmp_path / "killed", resumed=True)
    run_to_the_end(again)
    trials = {trial.number: trial for trial in again.recorder.run.trials}
    assert sum(trial.search is not None for trial in trials.values()) == TRIALS
    for trial in finished:
        assert trials[trial.number].search == trial.search
        assert trials[trial.number].report == (trial.report or trials[trial.number].report)
    assert [c["number"] for c in again.asked if (c["number"], c["split"]) in done(finished)] == []
    stored = again.study.get_trials()
    assert {trial.state for trial in stored} == {TrialState.COMPLETE}
    assert sorted(trial.user_attrs["number"] for trial in stored) == sorted(
        number for number, trial in trials.items() if trial.search
    )
    points = [tuple(trial.ratios.values()) for trial in trials.values() if trial.origin == "sampler"]
    assert len(points) == len(set(points))


def done(trials: list[Trial]) -> set[tuple[int, str]]:
    return {(t.number, split) for t in trials for split in ("search", "report") if getattr(t, split)}


def test_a_finished_run_can_be_given_more_trials(tmp_path: Path) -> None:
    run_to_the_end(Run(tmp_path))
    more = Run(tmp_path, trials=TRIALS + 5, resumed=True)
    run_to_the_end(more)
    searched = [c["number"] for c in more.asked if c["split"] == "search"]
    assert len(searched) == 5
    assert min(searched) > TRIALS
    numbers = [trial.number for trial in more.recorder.run.trials]
    assert len(numbers) == len(set(numbers))
    assert sum(trial.search is not None for trial in more.recorder.run.trials) == TRIALS + 5


def test_a_study_that_was_lost_is_made_again_from_what_is_on_disk(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for position in range(8):
        run.next()
        run.finish(position)
    (tmp_path / "study.journal").unlink()
    again = Run(tmp_path, resumed=True)
    run_to_the_end(again)
    assert len(again.study.get_trials(states=(TrialState.COMPLETE,))) == TRIALS
