import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ama_ray.trials_csv import read_trials
from ama_ray.tuning.recorder import FAILURES_IN_A_ROW, FailureStopper, Recorder

if TYPE_CHECKING:
    from ama_ray.trial import Trial


@dataclass
class TuneTrial:
    """What the recorder reads of Tune's own trial object."""

    config: dict[str, Any]
    last_result: dict[str, Any] = field(default_factory=dict)
    error: Exception | None = None

    def get_pickled_error(self) -> Exception | None:
        return self.error


def complete(number: int) -> TuneTrial:
    result = {
        "engine": f"engine-{number % 2}",
        "engine_seconds": 10.0 + number % 2,
        **{"reward": 1.5, "reward_se": 0.1, "tax": 0.2, "tax_se": 0.05},
        "probes": {"facts": {"score": 0.7, "tax": 0.2}},
        "seconds": {"swap": 0.01, "generate": 1.0, "score": 0.5},
    }
    return TuneTrial({"number": number, "origin": "sampler", "ratios": {"a": 0.25, "b": 0.5}}, result)


def failed(number: int, reason: str) -> TuneTrial:
    trial = complete(number)
    seconds = {"swap": 0.01, "generate": 1.0, "score": 0.5}
    trial.last_result = {"engine": "engine-0", "engine_seconds": 10.0, "reason": reason, "seconds": seconds}
    return trial


def test_every_finished_trial_is_on_disk_at_once(tmp_path: Path) -> None:
    seen: list[Trial] = []
    recorder = Recorder(tmp_path / "trials.csv", seen.append)
    for number in (1, 0):
        recorder.on_trial_complete(0, [], complete(number))
        assert read_trials(tmp_path / "trials.csv") == recorder.trials
    recorder.on_trial_complete(0, [], failed(2, "the scorer returned nan"))
    recorder.on_trial_error(0, [], TuneTrial(complete(3).config, error=RuntimeError("a\nswap failed")))
    recorder.on_trial_error(0, [], TuneTrial(complete(4).config, error=AssertionError()))
    recorder.on_trial_error(0, [], TuneTrial(complete(5).config))
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


def test_each_engine_start_counts_once(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "trials.csv", lambda trial: None)
    for number in range(4):
        recorder.on_trial_complete(0, [], complete(number))
    assert sum(recorder.engine_seconds.values()) == 21


def test_failures_in_a_row_stop_the_run(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "trials.csv", lambda trial: None)
    for number in range(FAILURES_IN_A_ROW - 1):
        recorder.on_trial_complete(0, [], failed(number, "nan"))
    recorder.on_trial_complete(0, [], complete(4))
    stopper = FailureStopper(recorder)
    for number in range(5, 5 + FAILURES_IN_A_ROW):
        assert not stopper.stop_all()
        recorder.on_trial_complete(0, [], failed(number, "nan"))
    assert stopper.stop_all()


def test_tune_can_pickle_a_recorder_whose_listener_cannot_be(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as file:
        recorder = Recorder(tmp_path / "trials.csv", lambda trial: print(trial, file=file))
        recorder.on_trial_complete(0, [], complete(0))
        assert pickle.loads(pickle.dumps(recorder)).trials == recorder.trials
