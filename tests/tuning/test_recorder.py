"""What the recorder keeps of a trial that Tune has ended, and when it ends the search."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from ray.exceptions import RayActorError

from ama_ray.config import RunConfig, Split
from ama_ray.miniature import ROOT
from ama_ray.run import StoredRun
from ama_ray.scores.objectives import Objectives
from ama_ray.scores.terms import ProbeTerm, RewardTerm
from ama_ray.scores.trial import Estimate, KeptReply, ProbeResult, Scores
from ama_ray.storage.records import read_trials
from ama_ray.tuning.checking import CheckBeside
from ama_ray.tuning.recorder import ATTEMPTS, FAILURES_IN_A_ROW, Recorder
from ama_ray.tuning.signals import Interrupts
from ama_ray.tuning.stopping.failures import EndStopper
from ama_ray.tuning.trial_records import TrialResult, TrialSpec
from tests.support.tune_trial import TuneTrial

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.scores.trial import Trial

SCORES = Scores({"reward": Estimate(1.5, 0.1), "tax": Estimate(0.2, 0.05)}, {"facts": ProbeResult(0.7, 0.1, 0.2, 0.05)})
OBJECTIVES = Objectives((RewardTerm("reward", "reward", 1.0, 0),), (ProbeTerm("facts", "f", "mean"),))
SECONDS = {"swap": 0.01, "generate": 1.0, "score": 0.5}


def new_run(folder: Path) -> StoredRun:
    return StoredRun(folder, RunConfig.load(ROOT / "run.yaml", out=folder), OBJECTIVES, ())


def spec(number: int, split: Split = "search", attempt: int = ATTEMPTS) -> TrialSpec:
    return TrialSpec(number, "sampler", {"a": 0.25, "b": 0.5}, split, attempt)


def completed(spec: TrialSpec) -> TrialResult:
    return TrialResult(
        spec,
        f"engine-{spec.number % 2}",
        10.0 + spec.number % 2,
        SECONDS,
        state="complete",
        scores=SCORES,
        items={"facts": np.full((3, 1), spec.number), "reward": np.ones((2, 1))},
        tokens={"prompt": 5},
    )


def tune_trial(result: TrialResult) -> TuneTrial:
    return TuneTrial(result.spec.to_config(), result.to_tune())


def complete(number: int, split: Split = "search") -> TuneTrial:
    return tune_trial(completed(spec(number, split)))


def failed(number: int, reason: str, split: Split = "search") -> TuneTrial:
    return tune_trial(TrialResult(spec(number, split), "engine-0", 10.0, SECONDS, state="failed", reason=reason))


def test_every_finished_trial_is_on_disk_at_once(tmp_path: Path) -> None:
    seen: list[Trial] = []
    recorder = Recorder(new_run(tmp_path), seen.append)
    for number in (1, 0):
        recorder.on_trial_complete(0, [], complete(number))
        assert read_trials(tmp_path / "trials.csv") == list(recorder.run.trials)
    recorder.on_trial_complete(0, [], failed(2, "the scorer returned nan"))
    recorder.on_trial_error(0, [], TuneTrial(spec(3).to_config(), error=RuntimeError("a\nswap failed")))
    recorder.on_trial_error(0, [], TuneTrial(spec(4).to_config(), error=AssertionError()))
    recorder.on_trial_error(0, [], TuneTrial(spec(5).to_config()))
    trials = read_trials(tmp_path / "trials.csv")
    assert [trial.number for trial in trials] == [0, 1, 2, 3, 4, 5]
    assert [trial.state for trial in trials] == [*["complete"] * 2, *["failed"] * 4]
    assert [trial.reason for trial in trials[2:]] == [
        "the scorer returned nan",
        "RuntimeError: swap failed",
        "AssertionError",
        "the trial's process ended",
    ]
    assert trials[2].seconds["generate"] == 1.0
    assert trials[0].probes["facts"].score == 0.7
    assert len(seen) == 6
    assert recorder.run.items.read("search", 1)["facts"].tolist() == [[1], [1], [1]]
    assert recorder.stage_seconds["generate"] == 3.0


def test_the_report_adds_to_a_trial_and_its_failure_takes_nothing_away(tmp_path: Path) -> None:
    seen: list[Trial] = []
    recorder = Recorder(new_run(tmp_path), seen.append)
    for number in (0, 1):
        recorder.on_trial_complete(0, [], complete(number))
    recorder.on_trial_complete(0, [], complete(0, "report"))
    recorder.on_trial_complete(0, [], failed(1, "judge away", "report"))
    twin = tune_trial(completed(replace(spec(2, "report"), origin="twin")))
    recorder.on_trial_complete(0, [], twin)
    scored, lost, alone = read_trials(tmp_path / "trials.csv")
    assert (scored.search, scored.report, scored.tokens) == (SCORES, SCORES, {"prompt": 10})
    assert (lost.state, lost.search, lost.report, lost.reason) == ("complete", SCORES, None, "judge away")
    assert (alone.origin, alone.search, alone.report) == ("twin", None, SCORES)
    assert (recorder.finished("search"), recorder.finished("report")) == (2, 3)
    assert [trial.split for trial in seen] == ["search", "search", "report", "report", "report"]
    assert recorder.last_failure == "judge away"


def test_replies_of_the_report_are_kept_once_also_when_a_run_goes_on(tmp_path: Path) -> None:
    for text in ("first", "again"):
        recorder = Recorder(new_run(tmp_path), lambda trial: None)
        recorder.on_trial_complete(0, [], complete(0))
        for number in (0, 1):
            replies = (KeptReply("how are you?", text), KeptReply("and now?", ""))
            trial = tune_trial(replace(completed(spec(number, "report")), replies=replies))
            recorder.on_trial_complete(0, [], trial)
            assert not [value for value in trial.last_result.values() if isinstance(value, TrialResult)]
    kept = recorder.run.replies.read()
    assert {number: [each.reply for each in replies] for number, replies in kept.items()} == {
        0: ["again", ""],
        1: ["again", ""],
    }


def test_answers_of_the_report_are_kept_item_by_item(tmp_path: Path) -> None:
    recorder = Recorder(new_run(tmp_path), lambda trial: None)
    recorder.on_trial_complete(0, [], complete(0))
    said = {"facts": ["nuts", "rice"]}
    recorder.on_trial_complete(0, [], tune_trial(replace(completed(spec(0, "report")), said=said)))
    assert recorder.run.texts.read_answers(0) == said
    assert [path.name for path in (tmp_path / "texts").iterdir()] == ["0.jsonl"]


def test_each_engine_start_counts_once(tmp_path: Path) -> None:
    recorder = Recorder(new_run(tmp_path), lambda trial: None)
    for number in range(4):
        recorder.on_trial_complete(0, [], complete(number))
    assert sum(recorder.engine_seconds.values()) == 21


def test_failures_in_a_row_stop_the_run(tmp_path: Path) -> None:
    recorder = Recorder(new_run(tmp_path), lambda trial: None)
    for number in range(FAILURES_IN_A_ROW - 1):
        recorder.on_trial_complete(0, [], failed(number, "nan"))
    recorder.on_trial_complete(0, [], complete(4))
    stopper = EndStopper(recorder, CheckBeside.done(), Interrupts())
    for number in range(5, 5 + FAILURES_IN_A_ROW):
        assert not stopper.stop_all()
        recorder.on_trial_complete(0, [], failed(number, "nan"))
    assert stopper.stop_all()


def test_trials_that_run_again_count_as_failures_until_one_succeeds(tmp_path: Path) -> None:
    lines: list[str] = []
    recorder = Recorder(new_run(tmp_path), lambda trial: None, lines.append)
    for _ in range(FAILURES_IN_A_ROW - 1):
        recorder.on_trial_error(0, [], TuneTrial(spec(7, attempt=1).to_config(), error=RayActorError()))
    again = "its process died, or was ended as it took too long; it runs again with another engine"
    assert lines[0] == f"trial 7: {again}; see {tmp_path / 'log.txt'}"
    assert not recorder.failing
    recorder.on_trial_complete(0, [], complete(7))
    recorder.on_trial_error(0, [], TuneTrial(spec(8, attempt=1).to_config(), error=RuntimeError("no")))
    assert not recorder.failing
    assert recorder.finished("search") == 1


def test_tune_can_pickle_a_recorder_whose_listener_cannot_be(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as file:
        recorder = Recorder(new_run(tmp_path), lambda trial: print(trial, file=file))
        recorder.on_trial_complete(0, [], complete(0))
        assert pickle.loads(pickle.dumps(recorder)).run.trials == recorder.run.trials
