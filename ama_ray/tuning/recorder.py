"""`Recorder`: turns what Tune reports into `Trial`s, on disk as they finish."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ray.tune import Callback

from ama_ray.errors import UserError
from ama_ray.scores.trial import Trial
from ama_ray.storage.names import LOG, TRIALS
from ama_ray.storage.records import TrialsFile
from ama_ray.storage.retry import retry_write
from ama_ray.tuning.ray_internals import why_failed
from ama_ray.tuning.stopping.estimates import ScoreEstimator
from ama_ray.tuning.trial_records import TrialResult, TrialSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from ama_ray.run import StoredRun
    from ama_ray.scores.trial import Scores, State

FAILURES_IN_A_ROW = 5
"""After so many the run stops: what fails every trial will fail the rest of the night too."""

_log = logging.getLogger(__name__)

ATTEMPTS = 3
"""How often a trial is run whose engine dies; a trial whose scorer fails has failed."""


class Recorder(Callback):
    """Keeps every finished trial, and rewrites `trials.csv` whole after each, so that none is ever lost.

    Attributes:
        run: The run with all trials that have ended so far, by number.
        engine_seconds: Seconds that an engine took to start, by engine.
        stage_seconds: Seconds of all trials by stage, on both splits.
        last_failure: Why the last trial that failed did.
    """

    def __init__(
        self,
        run: StoredRun,
        on_trial: Callable[[Trial], None],
        tell: Callable[[str], None] = lambda line: None,
        on_start: Callable[[TrialSpec], None] = lambda spec: None,
    ) -> None:
        """Records to the folder of a run.

        Args:
            run: The run with what an earlier process recorded.
            on_trial: Called with every trial that was scored, seen on the split it was scored on, failed ones
                included.
            tell: Called with a line of text where something has to be tried again.
            on_start: Called with a trial that has got an engine.
        """
        self.run = run
        self.engine_seconds: dict[str, float] = {}
        self.stage_seconds: Counter[str] = Counter()
        self.last_failure = ""
        self._path = run.folder / TRIALS
        self._file = TrialsFile(self._path)
        self._estimator = ScoreEstimator(run.objectives, run.items)
        self._on_trial = on_trial
        self._tell = tell
        self._on_start = on_start
        self._trials = {trial.number: trial for trial in run.trials}
        self._finished = Counter(search=len(run.searched), report=sum(trial.report is not None for trial in run.trials))
        self._failures = 0

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its callbacks into the run folder; the listener may hold a terminal and stays in this process.
        return self.__dict__ | {"_on_trial": None, "_tell": None, "_on_start": None}

    @property
    def failing(self) -> bool:
        """Whether so many trials failed in a row that the run should stop."""
        return self._failures >= FAILURES_IN_A_ROW

    def finished(self, split: str) -> int:
        """Counts the trials that have ended on a split, failed ones included."""
        return self._finished[split]

    def scores_of(self, number: int) -> Scores | None:
        """What a trial scored on the search split, estimated where it was stopped; None where it failed."""
        return self._trials[number].search if number in self._trials else None

    def estimate(self, result: TrialResult) -> Scores:
        """Estimates what a trial that has seen a part of the items will score on all of them."""
        return self._estimator.estimate(result.items, result.spec.ratios, self.run.searched_pareto.scored)

    def tell(self, line: str) -> None:
        """Tells whoever listens a line of text."""
        self._tell(line)

    def say_why_it_ended(self, ended: str) -> None:
        """Says why a search has ended before its last trial, where it has.

        Args:
            ended: Why the searcher ended it; empty where it did not.

        Raises:
            UserError: It ended as its trials kept failing.
        """
        done, trials = self.finished("search"), self.run.config.trials
        if self.failing:
            why = f"{self.run.folder}: the search stopped, as its last trials all failed: {self.last_failure}"
            if done < trials and not ended:
                raise UserError(why)
            self._tell(why)
        elif ended or done < trials:
            self._tell(f"stopped after {done} of {trials} trials{ended and f': {ended}'}")

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Passes on that a trial has got an engine."""
        self._on_start(TrialSpec.from_config(trial.config))

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Gives a trial that a stopper has just ended its estimates; trackers, which come after, get them too.

        What commands wrote goes into the log.
        """
        found = TrialResult.from_tune(result)
        for name, text in found.written.items():
            _log.info(
                "trial %d (%s split): the command of %s wrote:\n%s", found.spec.number, found.spec.split, name, text
            )
        if result["done"] and found.state is None:
            result.update(replace(found, state="stopped", scores=self.estimate(found)).to_tune())

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Records a trial that returned a result."""
        result = TrialResult.take_from(trial.last_result)
        self.engine_seconds[result.engine] = result.engine_seconds
        self.stage_seconds.update(result.seconds)
        spec = result.spec
        if result.state == "failed":
            self._failed(spec, result.reason, result.seconds)
            return
        assert result.state
        if result.state == "complete":
            self._write(partial(self.run.items.write, spec.split, spec.number, result.items), "items", spec)
        if result.trade:
            self._write(partial(self.run.items.write, "trade", spec.number, result.trade), "items", spec)
        if result.replies:
            self._write(partial(self.run.replies.write, spec.number, result.replies), "replies", spec)
        if result.said:
            self._write(partial(self.run.texts.write_answers, spec.number, result.said), "answers", spec)
        before = self._trials.get(spec.number) or _new(spec, result.state)
        scored = replace(before, tokens=dict(Counter(before.tokens) + Counter(result.tokens)))
        if spec.split == "search":
            scored = replace(scored, search=result.scores, share=result.share, seconds=result.seconds)
        else:
            scored = replace(scored, report=result.scores)
        self._record(spec, scored)
        self._failures = 0

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Records a trial whose actor died or raised, unless it is to run again in another one."""
        spec, why = TrialSpec.from_config(trial.config), why_failed(trial)
        if spec.attempt == ATTEMPTS:
            self._failed(spec, why, {})
            return
        self.last_failure = why
        self._failures += 1
        self._tell(f"trial {spec.number}: {why}; it runs again with another engine; see {self.run.folder / LOG}")

    def _failed(self, spec: TrialSpec, reason: str, seconds: dict[str, float]) -> None:
        self._failures += 1
        self.last_failure = reason
        # What a trial scored in the search stays, when it fails on the report split.
        known = self._trials.get(spec.number) or replace(_new(spec, "failed"), seconds=seconds)
        self._record(spec, replace(known, reason=reason))

    def _record(self, spec: TrialSpec, trial: Trial) -> None:
        self._trials[trial.number] = trial
        self.run = self.run.with_trials([self._trials[number] for number in sorted(self._trials)])
        self._finished[spec.split] += 1
        retry_write(partial(self._file.write, self.run.trials), str(self._path), self._tell)
        self._on_trial(trial.seen_on(spec.split))

    def _write(self, write: Callable[[], None], what: str, spec: TrialSpec) -> None:
        retry_write(write, f"the {what} of trial {spec.number}", self._tell)


def _new(spec: TrialSpec, state: State) -> Trial:
    return Trial(spec.number, state, spec.origin, spec.ratios)
