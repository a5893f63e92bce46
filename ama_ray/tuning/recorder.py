"""`Recorder`: turns what Tune reports into `Trial`s, on disk as they finish."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray.tune import Callback, Stopper

from ama_ray.errors import one_line
from ama_ray.trial import ProbeResult, Trial
from ama_ray.trials_csv import write_trials

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FAILURES_IN_A_ROW = 5
"""After so many the run stops: what fails every trial will fail the rest of the night too."""


class Recorder(Callback):
    """Keeps every finished trial, and rewrites `trials.csv` whole after each, so that none is ever lost."""

    def __init__(self, file: Path, on_trial: Callable[[Trial], None]) -> None:
        """Records to a file.

        Args:
            file: The `trials.csv` to write.
            on_trial: Called with every finished trial, failed ones included.
        """
        self.engine_seconds: dict[str, float] = {}
        self._file = file
        self._on_trial = on_trial
        self._trials: dict[int, Trial] = {}
        self._failures = 0

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its callbacks into the run folder; the listener may hold a terminal and stays in this process.
        return self.__dict__ | {"_on_trial": None}

    @property
    def failing(self) -> bool:
        """Whether so many trials failed in a row that the run should stop."""
        return self._failures >= FAILURES_IN_A_ROW

    @property
    def trials(self) -> list[Trial]:
        """All finished trials by number."""
        return [self._trials[number] for number in sorted(self._trials)]

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Records a trial that returned a result."""
        result = trial.last_result
        self.engine_seconds[result["engine"]] = result["engine_seconds"]
        if "reason" in result:
            self._record(trial, state="failed", reason=result["reason"], seconds=result["seconds"])
            return
        self._record(
            trial,
            state="complete",
            **{key: result[key] for key in ("reward", "reward_se", "tax", "tax_se", "seconds")},
            probes={name: ProbeResult(**fields) for name, fields in result["probes"].items()},
        )

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Records a trial whose actor died or raised."""
        error = trial.get_pickled_error()
        self._record(trial, state="failed", reason=one_line(error) if error else "the trial's process ended")

    def _record(self, trial: Any, **fields: Any) -> None:
        number, origin = trial.config["number"], trial.config["origin"]
        self._trials[number] = Trial(number=number, origin=origin, ratios=trial.config["ratios"], **fields)
        write_trials(self._file, self.trials)
        self._on_trial(self._trials[number])
        self._failures = self._failures + 1 if fields["state"] == "failed" else 0


class FailureStopper(Stopper):
    """Ends a search whose trials keep failing."""

    def __init__(self, recorder: Recorder) -> None:
        """Watches a recorder."""
        self._recorder = recorder

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """A single trial ends by itself."""
        return False

    def stop_all(self) -> bool:
        """Whether the search should end."""
        return self._recorder.failing
