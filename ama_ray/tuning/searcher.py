"""`ParetoSearcher`: an Optuna study of several objectives, asked in a thread of its own, with trials that may fail."""

from __future__ import annotations

import math
import warnings
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.study import StudyDirection
from optuna.trial import TrialState

from ama_ray.tuning.samplers import Listener
from ama_ray.tuning.warm_start import Point

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.constraints import Constraints
    from ama_ray.objectives import Objectives
    from ama_ray.parametrisation import Parametrisation
    from ama_ray.trial import Scores

READY_SECONDS = 0.02
"""How long Tune waits for a suggestion before it does something else."""

_sampling = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sampler")


class ParetoSearcher:
    """Suggests ratio vectors: first the points it is given, then those of an Optuna sampler.

    First points for which the study has no parameters, such as the uniform ones beside a given mean ratio, are
    suggested all the same, and the sampler does not hear of them.

    A sampler that is a `Listener` is told the scores of complete trials, and those of base and aligned.
    """

    def __init__(
        self,
        parametrisation: Parametrisation,
        objectives: Objectives,
        sampler: optuna.samplers.BaseSampler,
        first: Sequence[Point],
        constraints: Constraints | None = None,
    ) -> None:
        """Prepares a study, in memory.

        Args:
            parametrisation: From what the sampler chooses to ratios.
            objectives: Of the run; the study's are the same, in the same order.
            sampler: Chooses after the first points.
            first: Scored before, in this order.
            constraints: Of the run.
        """
        self._parametrisation = parametrisation
        self._objectives = objectives
        self._constraints = constraints
        self._first = deque(first)
        self._distributions: dict[str, BaseDistribution] = {
            name: FloatDistribution(*limits) for name, limits in parametrisation.ranges.items()
        }
        directions = [StudyDirection.MAXIMIZE] * (len(objectives.names) - 1) + [StudyDirection.MINIMIZE]
        self._study = optuna.create_study(directions=directions, sampler=sampler)
        self._listener = sampler if isinstance(sampler, Listener) else None
        self._suggested = 0
        self._end_of: dict[str, float] = {}
        self._ends: dict[float, Scores] = {}
        self._running: dict[str, optuna.Trial] = {}
        self._asked: Future[tuple[Point, optuna.Trial | None]] | None = None

    def suggest(self, trial_id: str, wait: float | None = READY_SECONDS) -> dict[str, Any] | None:
        """The next trial: its number, origin and ratios; None while the sampler still thinks.

        The sampler takes a good part of a second, in which Tune must go on handing trials to idle engines; so it works
        in a thread of its own, and Tune asks again.

        Args:
            trial_id: Of Tune.
            wait: Seconds to wait for the sampler; None waits until it is done.
        """
        if self._asked is None:
            self._asked = _sampling.submit(self._ask, self._first.popleft() if self._first else None)
        try:
            point, trial = self._asked.result(timeout=wait)
        except TimeoutError:
            return None
        self._asked = None
        if trial is not None:
            self._running[trial_id] = trial
        if point.origin == "baseline" and (ratio := next(iter(point.ratios.values()))) in (0, 1):
            self._end_of[trial_id] = ratio
        number, self._suggested = self._suggested, self._suggested + 1
        return {"number": number, "origin": point.origin, "ratios": point.ratios}

    def _ask(self, point: Point | None) -> tuple[Point, optuna.Trial | None]:
        if point is not None:
            if not self._parametrisation.expresses(point.ratios):
                return point, None
            self._study.enqueue_trial(self._parametrisation.to_params(point.ratios))
        with warnings.catch_warnings():
            # The baseline is scored whole, also where a group's range is narrower.
            warnings.filterwarnings("ignore", message="Fixed parameter .* is out of range")
            trial = self._study.ask(fixed_distributions=self._distributions)
        return point or Point("sampler", self._parametrisation.to_ratios(trial.params)), trial

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tells the study how a trial ended; one without finite objectives failed."""
        scores: Scores | None = None if error else (result or {}).get("scores")
        if scores and trial_id in self._end_of:
            self._tell_ends(self._end_of[trial_id], scores)
        trial = self._running.pop(trial_id, None)
        if trial is None:
            return
        values = [scores.objectives[name].value for name in self._objectives.names] if scores else []
        if scores is None or not all(math.isfinite(value) for value in values):
            self._study.tell(trial, state=TrialState.FAIL)
            return
        for name, violation in (self._constraints.violations(scores) if self._constraints else {}).items():
            trial.set_constraint(name, violation)
        if self._listener:
            self._listener.tell(trial.number, scores)
        self._study.tell(trial, values)

    def _tell_ends(self, ratio: float, scores: Scores) -> None:
        self._ends[ratio] = scores
        if self._listener and len(self._ends) == 2:
            self._listener.tell_ends(self._ends[0], self._ends[1])
