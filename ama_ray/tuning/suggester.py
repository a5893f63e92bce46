"""`StudySuggester`: an Optuna study of several objectives, asked in a thread of its own, with trials that may fail."""

from __future__ import annotations

import itertools
import math
import warnings
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import TrialState

from ama_ray.pareto.trade import ends_of
from ama_ray.scores.trial import Trial
from ama_ray.storage.retry import retry_write
from ama_ray.tuning import samplers
from ama_ray.tuning.optuna_internals import live_trial
from ama_ray.tuning.samplers import SamplerContext, ScoreAware
from ama_ray.tuning.study import open_study, place
from ama_ray.tuning.study_check import check_study
from ama_ray.tuning.trial_records import TrialSpec
from ama_ray.tuning.warm_start import FirstPoint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import optuna
    from optuna.samplers import BaseSampler

    from ama_ray.evaluation.inputs import Inputs
    from ama_ray.run import StoredRun
    from ama_ray.scores.constraints import Constraints
    from ama_ray.scores.objectives import Objectives
    from ama_ray.scores.trial import Scores
    from ama_ray.space.parametrization import Parametrization
    from ama_ray.storage.run_folder import RunFolder

READY_SECONDS = 0.02
"""How long Tune waits for a suggestion before it does something else."""

_sampling = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sampler")


@dataclass(frozen=True)
class _Suggestion:
    """A trial to run, and the trial of the study that stands for it, where there is one."""

    spec: TrialSpec
    trial: optuna.Trial | None


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
            parametrization: It makes ratios of what the sampler chooses.
            objectives: What the objectives are made of; those of the study are the same, in the same order.
            study: Its sampler chooses after the first points.
            first: The points to score before, in this order.
            constraints: What trials of the front must satisfy.
            finished: Trials of an earlier process. What the study does not know of them it is told; what it knows and
                they do not have was under way, and is suggested again, as the same trial of the study.
            tell: Called with a line of text while the study's storage is away.
        """
        self._parametrization = parametrization
        self._objectives = objectives
        self._constraints = constraints
        self._distributions: dict[str, BaseDistribution] = {
            name: FloatDistribution(*limits) for name, limits in parametrization.ranges.items()
        }
        self._study = study
        self._retry = partial(retry_write, what="the study", tell=tell)
        self._score_aware = study.sampler if isinstance(study.sampler, ScoreAware) else None
        self._ends: list[Trial] = []
        self._running: dict[int, optuna.Trial] = {}
        self._asked: Future[_Suggestion] | None = None
        self._again: deque[_Suggestion] = deque()
        self._restore({trial.number: trial for trial in finished})
        done = [(trial.origin, trial.ratios) for trial in finished if trial.state != "failed"]
        done += [(suggestion.spec.origin, suggestion.spec.ratios) for suggestion in self._again]
        self._first = deque(point for point in first if (point.origin, point.ratios) not in done)
        self._used = {*(trial.number for trial in finished), *(suggestion.spec.number for suggestion in self._again)}

    def suggest(self, wait: float | None = READY_SECONDS) -> TrialSpec | None:
        """Suggests the next trial of the search; None while the sampler still thinks.

        The sampler takes a good part of a second, in which Tune must go on handing trials to idle engines; so it works
        in a thread of its own, and Tune asks again.

        Args:
            wait: Seconds to wait for the sampler; None waits until it is done.
        """
        if self._asked is None and not self._again:
            number = next(number for number in itertools.count() if number not in self._used)
            self._used.add(number)
            ask = partial(self._ask, number, self._first.popleft() if self._first else None)
            self._asked = _sampling.submit(ask)
        try:
            suggestion = self._asked.result(timeout=wait) if self._asked else self._again.popleft()
        except TimeoutError:
            return None
        self._asked = None
        if suggestion.trial is not None:
            self._running[suggestion.spec.number] = suggestion.trial
        return suggestion.spec

    def tell(self, spec: TrialSpec, scores: Scores | None) -> None:
        """Tells the study what a suggested trial scored, or would have where it was stopped.

        Args:
            spec: The trial.
            scores: Its scores; None where it failed, which a trial without finite objectives has too.
        """
        if scores:
            self._tell_ends(Trial(spec.number, "complete", spec.origin, spec.ratios, scores))
        self._tell(self._running.pop(spec.number, None), scores)

    def _ask(self, number: int, point: FirstPoint | None) -> _Suggestion:
        if point is not None and not self._parametrization.expresses(point.ratios):
            return _Suggestion(TrialSpec(number, point.origin, point.ratios), None)
        trial = self._retry(partial(self._ask_study, point))
        suggested = point or FirstPoint("sampler", self._parametrization.to_ratios(trial.params))
        # The number comes last: a trial that has one has all the rest.
        for key, value in (("origin", suggested.origin), ("ratios", suggested.ratios), ("number", number)):
            self._retry(partial(trial.set_user_attr, key, value))
        return _Suggestion(TrialSpec(number, suggested.origin, suggested.ratios), trial)

    def _ask_study(self, point: FirstPoint | None) -> optuna.Trial:
        for frozen in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if "number" not in frozen.user_attrs:  # of an attempt that the storage cut short
                self._study.tell(frozen.number, state=TrialState.FAIL)
        if point is not None and not self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            self._study.enqueue_trial(self._parametrization.to_params(point.ratios))
        with warnings.catch_warnings():
            # The baseline is scored whole, also where a group's range is narrower.
            warnings.filterwarnings("ignore", message="Fixed parameter .* is out of range")
            return self._study.ask(fixed_distributions=self._distributions)

    def _restore(self, finished: Mapping[int, Trial]) -> None:
        for frozen in self._study.get_trials(deepcopy=False):
            known_as, trial = frozen.user_attrs, live_trial(self._study, frozen)
            number = known_as.get("number")
            known = finished.get(number) if number is not None else None
            if frozen.state == TrialState.RUNNING and known:
                self._tell(trial, known.search)
            elif frozen.state == TrialState.RUNNING and number is not None:
                self._again.append(_Suggestion(TrialSpec(number, known_as["origin"], known_as["ratios"]), trial))
            elif frozen.state == TrialState.RUNNING:
                self._study.tell(trial, state=TrialState.FAIL)  # never handed out
            elif frozen.state == TrialState.WAITING:  # of a first point, and never asked for
                self._study.tell(self._study.ask(), state=TrialState.FAIL)
            elif self._score_aware and known and known.search:
                self._score_aware.tell(frozen.number, known.search)
        stored = {frozen.user_attrs.get("number") for frozen in self._study.get_trials(deepcopy=False)}
        for done in finished.values():
            if done.search and done.number not in stored and self._parametrization.expresses(done.ratios):
                self._tell(self._ask(done.number, FirstPoint(done.origin, done.ratios)).trial, done.search)
            if done.search:
                self._tell_ends(done)

    def _tell(self, trial: optuna.Trial | None, scores: Scores | None) -> None:
        if trial is None:
            return
        values = [scores.objectives[name].value for name in self._objectives.names] if scores else []
        if scores is None or not all(math.isfinite(value) for value in values):
            self._retry(partial(self._study.tell, trial, state=TrialState.FAIL, skip_if_finished=True))
            return
        for name, violation in (self._constraints.violations(scores) if self._constraints else {}).items():
            self._retry(partial(trial.set_constraint, name, violation))
        if self._score_aware:
            self._score_aware.tell(trial.number, scores)
        self._retry(partial(self._study.tell, trial, values, skip_if_finished=True))

    def _tell_ends(self, trial: Trial) -> None:
        if trial.origin != "baseline" or (trial.uniform_ratio != 0 and trial.alone is None):
            return
        self._ends.append(trial)
        found = ends_of(self._ends)
        if self._score_aware and len(found) == 2:
            base, aligned = (found[name].search for name in ("base", "aligned"))
            assert base and aligned
            self._score_aware.tell_ends(base, aligned)


def study_suggester(
    inputs: Inputs,
    run: StoredRun,
    folder: RunFolder,
    shape: Parametrization,
    first: Sequence[FirstPoint],
    *,
    parallel: int,
    tell: Callable[[str], None],
    sampler: BaseSampler | None = None,
) -> StudySuggester:
    """Makes the sampler of a run, opens its study, and takes it up.

    Args:
        inputs: The opened run.
        run: The run with the trials of an earlier process.
        folder: The folder of the run, which names its study.
        shape: It makes ratios of what the sampler chooses.
        first: The points to score before the sampler chooses.
        parallel: How many engines run side by side.
        tell: Called with a line of text: the sampler's name, and while the study's storage is away.
        sampler: The sampler, where the user has made it.

    Raises:
        UserError: The sampler cannot be made, or the study cannot be opened, or is not that of the run.
    """
    config = inputs.config
    context = SamplerContext(
        ranges=shape.ranges,
        objectives=run.objectives,
        trials=config.trials,
        parallel=parallel,
        first=sum(shape.expresses(point.ratios) for point in first),
        seed=config.seed,
        known=len(run.trials),
        moved=shape.moved(inputs.groups.moved(inputs.pair.moves)),
        constraints=run.constraints,
        reference=config.reference,
    )
    sampler, name = samplers.make(config.sampler, context, sampler)
    tell(f"sampler: {name}")
    study = open_study(folder, config.storage, run.objectives.names, sampler)
    check_study(study, place(folder, config.storage), run.trials, run.objectives.names, shape)
    return StudySuggester(shape, run.objectives, study, first, run.constraints, finished=run.trials, tell=tell)
