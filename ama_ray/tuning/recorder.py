"""`Recorder`: turns what Tune reports into `Trial`s, on disk as they finish."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import cloudpickle
from ray.exceptions import RayActorError
from ray.tune import Callback

from ama_ray.errors import UserError, one_line
from ama_ray.scores.trial import Trial
from ama_ray.storage.names import ITEMS, LOG, REPLIES, TRIALS
from ama_ray.storage.records import ItemStore, ReplyStore, TrialsFile
from ama_ray.storage.retry import retry_write
from ama_ray.tuning.ray_internals import forget_trial

if TYPE_CHECKING:
    from collections.abc import Callable

    from ama_ray.config import Split
    from ama_ray.run import StoredRun

FAILURES_IN_A_ROW = 5
"""After so many the run stops: what fails every trial will fail the rest of the night too."""

ATTEMPTS = 3
"""How often a trial is run whose engine dies; a trial whose scorer fails has failed."""

_log = logging.getLogger(__name__)


class Recorder(Callback):
    """Keeps every finished trial, and rewrites `trials.csv` whole after each, so that none is ever lost.

    Attributes:
        engine_seconds: Seconds that an engine took to start, by engine.
        stage_seconds: Seconds of all trials by stage, on both splits.
        last_failure: Why the last trial that failed did.
    """

    def __init__(
        self,
        out: Path,
        on_trial: Callable[[Trial], None],
        tell: Callable[[str], None] = lambda line: None,
        earlier: StoredRun | None = None,
        on_start: Callable[[int, Split], None] = lambda number, split: None,
    ) -> None:
        """Records to the folder of a run.

        Args:
            out: Gets `trials.csv`, `items/` and `replies.jsonl`.
            on_trial: Called with every trial that was scored, seen on the split it was scored on, failed ones
                included.
            tell: Called with a line of text where something has to be tried again.
            earlier: What an earlier process recorded.
            on_start: Called with the number and the split of a trial that has got an engine.
        """
        self.engine_seconds: dict[str, float] = {}
        self.stage_seconds: Counter[str] = Counter()
        self.last_failure = ""
        self.items = ItemStore(out / ITEMS)
        self.replies = ReplyStore(out / REPLIES)
        self._out, self._file = out, TrialsFile(out / TRIALS)
        self._on_trial = on_trial
        self._tell = tell
        self._on_start = on_start
        trials = earlier.trials if earlier else ()
        self._trials = {trial.number: trial for trial in trials}
        self._finished = Counter(
            search=len(earlier.searched) if earlier else 0, report=sum(trial.report is not None for trial in trials)
        )
        self._failures = 0

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its callbacks into the run folder; the listener may hold a terminal and stays in this process.
        return self.__dict__ | {"_on_trial": None, "_tell": None, "_on_start": None}

    @property
    def failing(self) -> bool:
        """Whether so many trials failed in a row that the run should stop."""
        return self._failures >= FAILURES_IN_A_ROW

    @property
    def trials(self) -> list[Trial]:
        """All finished trials by number."""
        return [self._trials[number] for number in sorted(self._trials)]

    def finished(self, split: str) -> int:
        """How many trials have ended on a split, failed ones included."""
        return self._finished[split]

    def say_why_it_ended(self, trials: int, ended: str) -> None:
        """Says why a search has ended before its last trial, where it has.

        Args:
            trials: Of the search in all.
            ended: Why the schedule ended it; empty where it did not.

        Raises:
            UserError: It ended as its trials kept failing.
        """
        done = self.finished("search")
        if self.failing:
            why = f"{self._out}: the search stopped, as its last trials all failed: {self.last_failure}"
            if done < trials and not ended:
                raise UserError(why)
            self._tell(why)
        elif done < trials:
            self._tell(f"stopped after {done} of {trials} trials{ended and f': {ended}'}")

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Passes on that a trial has got an engine."""
        self._on_start(trial.config["number"], trial.config["split"])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Records a trial that returned a result."""
        result = trial.last_result
        forget_trial(trial)
        self.engine_seconds[result["engine"]] = result["engine_seconds"]
        self.stage_seconds.update(result["seconds"])
        if "reason" in result:
            self._failed(trial.config, result["reason"], result["seconds"])
            return
        config, number, state = trial.config, trial.config["number"], result.get("state", "complete")
        # Taken out, as Tune writes the results of all trials again and again.
        items = result.pop("items")
        if state == "complete":
            retry_write(
                partial(self.items.write, config["split"], number, items), f"the items of trial {number}", self._tell
            )
        if replies := result.pop("replies", ()):
            retry_write(partial(self.replies.write, number, replies), f"the replies of trial {number}", self._tell)
        before = self._trials.get(number) or _new(config, state)
        tokens = Counter(before.tokens) + Counter(result["tokens"])
        scored = replace(before, **{config["split"]: result["scores"]}, tokens=dict(tokens))
        if config["split"] == "search":
            scored = replace(scored, share=result["share"], seconds=result["seconds"])
        self._record(config, scored)
        self._failures = 0

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Records a trial whose actor died or raised, unless it is to run again in another one."""
        why = _why(trial)
        if trial.config["attempt"] == ATTEMPTS:
            self._failed(trial.config, why, {})
            return
        self.last_failure = why
        self._failures += 1
        self._tell(f"trial {trial.config['number']}: {why}; it runs again with another engine; see {self._out / LOG}")

    def _failed(self, config: dict[str, Any], reason: str, seconds: dict[str, float]) -> None:
        self._failures += 1
        self.last_failure = reason
        known = self._trials.get(config["number"])
        # What a trial scored in the search stays, when it fails on the report split.
        self._record(config, replace(known, reason=reason) if known else _new(config, "failed", reason, seconds))

    def _record(self, config: dict[str, Any], trial: Trial) -> None:
        self._trials[trial.number] = trial
        self._finished[config["split"]] += 1
        retry_write(partial(self._file.write, self.trials), str(self._out / TRIALS), self._tell)
        self._on_trial(trial.seen_on(config["split"]))


def _why(trial: Any) -> str:
    # In the trial's own folder: `get_pickled_error` looks where it has not been copied to yet.
    path = trial.pickled_error_file
    if not path or not Path(path).is_file():
        return "the trial's process ended"
    error = cloudpickle.loads(Path(path).read_bytes())
    _log.error("trial %s ended by an error", trial.config["number"], exc_info=error)
    if isinstance(error, RayActorError):
        return "its process died, or was ended as it took too long"
    return one_line(error)


def _new(config: dict[str, Any], state: Any, reason: str = "", seconds: dict[str, float] | None = None) -> Trial:
    return Trial(
        number=config["number"],
        state=state,
        origin=config["origin"],
        ratios=config["ratios"],
        reason=reason,
        seconds=seconds or {},
    )
