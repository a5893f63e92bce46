"""A search whose base and aligned do not differ beyond error, with engines that are made up."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from optuna.trial import TrialState
from ray.tune.search import Searcher

from ama_ray.report.text.summary import sentence
from ama_ray.report.write import write_report
from ama_ray.run import StoredRun
from ama_ray.storage.objectives_file import ObjectivesFile
from ama_ray.storage.run_folder import finished
from tests.support.scheduled_run import OBJECTIVES, TRIALS, Run, model_without_trade, run_to_the_end

if TYPE_CHECKING:
    from pathlib import Path


def asked(run: Run) -> list[tuple[int, str]]:
    return [(config["number"], config["split"]) for config in run.asked]


def unclear(folder: Path, **fields: Any) -> Run:
    return Run(folder, slots=0, model=model_without_trade, **fields)  # never one more under way than engines


def test_it_ends_after_two_trials_and_says_what_is_missing(tmp_path: Path) -> None:
    run = unclear(tmp_path)
    run_to_the_end(run)
    assert asked(run) == [(0, "search"), (1, "search")]
    assert [trial.uniform_ratio for trial in run.recorder.run.trials] == [0, 1]
    run.recorder.say_why_it_ended(run.searcher.ended)
    (line,) = run.said
    assert line.startswith(f"stopped after 2 of {TRIALS} trials: what aligned won of the reward is not beyond error (")
    assert re.search(r"95% interval -?\d+\.\d+ to \d+\.\d+, 50 prompts\); it takes .* prompts to find ", line)
    assert re.search(r"the tax of aligned is not beyond error \(.*, 50 items\); it takes [\d,]+, [\d,]+ or", line)
    assert line.endswith(
        "; give more items and another `out`, or set `unclear_trade: go-on` to search all the same; "
        f"`ama-ray plan {tmp_path}` has the numbers"
    )


def test_all_items_are_tested_where_trials_see_a_part_also_in_a_run_that_was_killed(tmp_path: Path) -> None:
    killed = unclear(tmp_path, searched=20)
    killed.next()
    killed.finish(0)
    run = unclear(tmp_path, searched=20, resumed=True)
    run_to_the_end(run)
    assert asked(run) == [(1, "search")]
    assert ", 50 prompts); it takes " in run.searcher.ended
    assert ", 50 items); it takes " in run.searcher.ended
    items = run.recorder.run.items
    seen, whole = items.read("search", 1), items.read("trade", 1)
    assert {name: len(each) for name, each in seen.items()} == {"reward": 20, "facts": 20}
    assert all(whole[name][:20].tolist() == each.tolist() for name, each in seen.items())
    gain = np.mean(whole["reward"] - items.read("trade", 0)["reward"])
    test = run.recorder.run.trade_test()
    assert test
    assert test.gains[0].value == pytest.approx(gain)


def test_what_is_under_way_ends_by_itself_and_is_kept(tmp_path: Path) -> None:
    run = Run(tmp_path, slots=2, model=model_without_trade)
    for _ in range(3):
        run.next()
    run.finish(0)
    # Aligned is still with a slow engine, and the other engine has one more trial, but no further ones.
    assert run.next(patience=3) is None
    run.finish(1)
    assert run.next(patience=3) is None
    run.finish(2)
    assert run.next() == Searcher.FINISHED
    assert asked(run) == [(number, "search") for number in range(3)]
    assert all(trial.search for trial in run.recorder.run.trials)
    assert len(run.recorder.run.trials) == 3


def test_a_clear_pair_is_not_held_up(tmp_path: Path) -> None:
    run = Run(tmp_path, slots=3)
    # Base and aligned are both still with their engines.
    assert [run.next()["number"] for _ in range(4)] == [0, 1, 2, 3]
    for position in range(4):
        run.finish(position)
    run_to_the_end(run)
    assert sum(split == "search" for _, split in asked(run)) == TRIALS
    assert run.searcher.ended == ""
    assert run.said == []


def test_where_the_user_wants_it_the_search_goes_on_and_warns_once(tmp_path: Path) -> None:
    run = unclear(tmp_path, unclear_trade="go-on")
    run_to_the_end(run)
    assert sum(split == "search" for _, split in asked(run)) == TRIALS
    assert any(split == "report" for _, split in asked(run))
    assert len(run.said) == 1
    assert run.said[0].startswith("warning: what aligned won of the reward is not beyond error (")


@pytest.mark.parametrize("lost", [0, 1])
def test_without_one_of_the_two_there_is_no_test(tmp_path: Path, lost: int) -> None:
    run = unclear(tmp_path)
    run_to_the_end(run, lost)
    assert sum(trial.search is not None for trial in run.recorder.run.trials) == TRIALS - 1
    assert run.said != []  # of the engine that failed
    assert not any("beyond error" in line for line in run.said)


@pytest.mark.long
def test_its_folder_is_that_of_a_whole_run_and_it_goes_on_when_the_user_wants(tmp_path: Path) -> None:
    run = unclear(tmp_path)
    run_to_the_end(run)
    config = run.recorder.run.config
    (tmp_path / "run.yaml").write_text(config.to_yaml())
    ObjectivesFile.of(OBJECTIVES, tokens={"reward": 40, "facts": 10}).write(tmp_path)
    stored = StoredRun.open(tmp_path)
    write_report(stored, {}, run.searcher.ended)
    assert {path.name for path in tmp_path.iterdir()} >= {"front.csv", "front.png", "summary.json", "report.html"}
    told = sentence(stored)
    assert told.startswith("The search ended after 2 trials: what aligned won of the reward is not beyond error (")
    assert "tokens a trial" in told
    assert "beyond error" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert finished(tmp_path, 2, config) == f"this run has ended: {run.searcher.ended}"

    wanted = config.model_copy(update={"unclear_trade": "go-on"})
    assert finished(tmp_path, 2, wanted) == ""
    again = unclear(tmp_path, resumed=True, unclear_trade="go-on")
    run_to_the_end(again)
    assert len(again.recorder.run.trials) > TRIALS
    assert {trial.state for trial in again.study.get_trials()} == {TrialState.COMPLETE}
    assert sorted(trial.user_attrs["number"] for trial in again.study.get_trials()) == list(range(TRIALS))
