"""`StudySuggester`: an Optuna study of several objectives, asked in a thread of its own, with trials that may fail."""

from __future__ import annotations

import itertools
import math
import warnings
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import TrialState

from ama_ray.storage.retry import retry_write
from ama_ray.tuning.samplers import ScoreAware
from ama_ray.tuning.warm_start import FirstPoint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ama_ray.scores.constraints import Constraints
    from ama_ray.scores.objectives import Objectives
    from ama_ray.scores.trial import Origin, Scores, Trial
    from ama_ray.space.parametrization import Parametrization

READY_SECONDS = 0.02
"""How long Tune waits for a suggestion before it does something else."""

Suggested = tuple[int, "Origin", dict[str, float], "optuna.Trial | None"]
"""Number, origin, ratios, and the trial of the study where there is one."""

_sampling = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sampler")


class StudySuggester:
    """Suggests ratio vectors: first the points it is given, then those of an Optuna sampler.

    First points for which the study has no parameters, such as the uniform ones beside a given mean ratio, are
    suggested all the same, and the sampler does not hear of them.

    A sampler that is a `ScoreAware` is told the scores of complete trials, and those of base and aligned.
    """

    def __init__(
        self,
        parametrization: Parametrization,
        objectives: Objectives,
        study: optuna.Study,
        first: Sequence[FirstPoint],
        constraints: Constraints | None = None,
        *,
        finished: Sequence[Trial] = (),
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Takes up a study, new or known.

        Args:
            parametrization: From what the sampler chooses to ratios.
            objectives: Of the run; the study's are the same, in the same order.
            study: Its sampler chooses after the first points.
            first: Scored before, in this order.
            constraints: Of the run.
            finished: Trials of an earlier process. What the study does not know of them it is told; what it knows and
                they do not have was under way, and is suggested again, as the same trial of the study.
            tell: Called with a line of text while the study's storage is away.
        """
        self._parametrisation = parametrization
        self._objectives = objectives
        self._constraints = constraints
        self._distributions: dict[str, BaseDistribution] = {
            name: FloatDistribution(*limits) for name, limits in parametrization.ranges.items()
        }
        self._study = study
        self._insist = partial(retry_write, what="the study", tell=tell)
        self._listener = study.sampler if isinstance(study.sampler, ScoreAware) else None
        self._end_of: dict[str, float] = {}
        self._ends: dict[float, Scores] = {}
        self._running: dict[str, optuna.Trial] = {}
        self._asked: Future[Suggested] | None = None
        self._again: deque[Suggested] = deque()
        self._restore({trial.number: trial for trial in finished})
        done = [*((t.origin, t.ratios) for t in finished if t.state != "failed"), *(s[1:3] for s in self._again)]
        self._first = deque(point for point in first if (point.origin, point.ratios) not in done)
        self._used = {*(trial.number for trial in finished), *(suggested[0] for suggested in self._again)}

    def suggest(self, trial_id: str, wait: float | None = READY_SECONDS) -> dict[str, Any] | None:
        """The next trial: its number, origin and ratios; None while the sampler still thinks.

        The sampler takes a good part of a second, in which Tune must go on handing trials to idle engines; so it works
        in a thread of its own, and Tune asks again.

        Args:
            trial_id: Of Tune.
            wait: Seconds to wait for the sampler; None waits until it is done.
        """
        if self._asked is None and not self._again:
            number = next(number for number in itertools.count() if number not in self._used)
            self._used.add(number)
            ask = partial(self._ask, number, self._first.popleft() if self._first else None)
            self._asked = _sampling.submit(ask)
        try:
            suggested = self._asked.result(timeout=wait) if self._asked else self._again.popleft()
        except TimeoutError:
            return None
        self._asked = None
        number, origin, ratios, trial = suggested
        if trial is not None:
            self._running[trial_id] = trial
        if origin == "baseline" and (ratio := next(iter(ratios.values()))) in (0, 1):
            self._end_of[trial_id] = ratio
        return {"number": number, "origin": origin, "ratios": ratios}

    def _ask(self, number: int, point: FirstPoint | None) -> Suggested:
        if point is not None and not self._parametrisation.expresses(point.ratios):
            return number, point.origin, point.ratios, None
        trial = self._insist(partial(self._ask_study, point))
        suggested = point or FirstPoint("sampler", self._parametrisation.to_ratios(trial.params))
        # The number comes last: a trial that has one has all the rest.
        for key, value in (("origin", suggested.origin), ("ratios", suggested.ratios), ("number", number)):
            self._insist(partial(trial.set_user_attr, key, value))
        return number, suggested.origin, suggested.ratios, trial

    def _ask_study(self, point: FirstPoint | None) -> optuna.Trial:
        for frozen in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if "number" not in frozen.user_attrs:  # of an attempt that the storage cut short
                self._study.tell(frozen.number, state=TrialState.FAIL)
        if point is not None and not self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            self._study.enqueue_trial(self._parametrisation.to_params(point.ratios))
        with warnings.catch_warnings():
            # The baseline is scored whole, also where a group's range is narrower.
            warnings.filterwarnings("ignore", message="Fixed parameter .* is out of range")
            return self._study.ask(fixed_distributions=self._distributions)

    def _restore(self, finished: Mapping[int, Trial]) -> None:
        for frozen in self._study.get_trials(deepcopy=False):
            number, trial = frozen.user_attrs.get("number"), optuna.Trial(self._study, frozen._trial_id)
            known = finished.get(number) if number is not None else None
            if frozen.state == TrialState.RUNNING and known:
                self._tell(trial, known.search)
            elif frozen.state == TrialState.RUNNING and number is not None:
                self._again.append((number, frozen.user_attrs["origin"], frozen.user_attrs["ratios"], trial))
            elif not frozen.state.is_finished():
                self._study.tell(trial, state=TrialState.FAIL)  # never handed out
            elif self._listener and known and known.search:
                self._listener.tell(frozen.number, known.search)
        stored = {frozen.user_attrs.get("number") for frozen in self._study.get_trials(deepcopy=False)}
        for done in finished.values():
            if done.search and done.number not in stored and self._parametrisation.expresses(done.ratios):
                self._tell(self._ask(done.number, FirstPoint(done.origin, done.ratios))[3], done.search)
            if done.search and done.origin == "baseline" and (ratio := done.uniform_ratio) in (0, 1):
                self._tell_ends(float(ratio), done.search)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tells the study how a trial ended; one without finite objectives failed."""
        scores: Scores | None = None if error else (result or {}).get("scores")
        if scores and trial_id in self._end_of:
            self._tell_ends(self._end_of[trial_id], scores)
        self._tell(self._running.pop(trial_id, None), scores)

    def _tell(self, trial: optuna.Trial | None, scores: Scores | None) -> None:
        if trial is None:
            return
        values = [scores.objectives[name].value for name in self._objectives.names] if scores else []
        if scores is None or not all(math.isfinite(value) for value in values):
            self._insist(partial(self._study.tell, trial, state=TrialState.FAIL, skip_if_finished=True))
            return
        for name, violation in (self._constraints.violations(scores) if self._constraints else {}).items():
            self._insist(partial(trial.set_constraint, name, violation))
        if self._listener:
            self._listener.tell(trial.number, scores)
        self._insist(partial(self._study.tell, trial, values, skip_if_finished=True))

    def _tell_ends(self, ratio: float, scores: Scores) -> None:
        self._ends[ratio] = scores
        if self._listener and len(self._ends) == 2:
            self._listener.tell_ends(self._ends[0], self._ends[1])
