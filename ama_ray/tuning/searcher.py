"""`RunSearcher`: the trials of a run in their order, first those of the search, then those of the report."""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ray.tune.search import Searcher

from ama_ray.analysis.candidates import candidates
from ama_ray.config.aligned import are_steps
from ama_ray.errors import UserError
from ama_ray.evaluation.evaluation import SPLITS
from ama_ray.pareto.trade import ends_of
from ama_ray.scores.trial import Trial
from ama_ray.space.baseline import average, first_shares, last_steps, ways_to
from ama_ray.tuning.recorder import ATTEMPTS
from ama_ray.tuning.stopping.plateau import HypervolumePlateau
from ama_ray.tuning.stopping.unclear_trade import UnclearTrade
from ama_ray.tuning.trial_records import TrialSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ama_ray.config import Evaluated
    from ama_ray.run import StoredRun
    from ama_ray.space.groups import Groups
    from ama_ray.tuning.budget import Spending
    from ama_ray.tuning.recorder import Recorder
    from ama_ray.tuning.suggester import StudySuggester

ALWAYS = ("baseline", "twin")
"""Origins of the points that are scored on the report split whatever the budget is."""


class RunSearcher(Searcher):
    """Hands Tune one trial after another: the search's, then those to be scored again on the report split.

    The uniform points, also those that the search did not start from, are scored on the report split where the sampler
    has nothing ready for an idle engine, and while the last trials of the search still run, so that no engine waits;
    then come the points that are or could be on the front, and last the twin of the knee: the uniform point with its
    mean ratio, against which it is compared.

    Where base and aligned, the first two, turn out not to differ beyond error, nothing more is handed out, unless the
    run file says `unclear_trade: go-on`. Until that is known, each engine gets one trial, and one is ready.

    Attributes:
        ended: Why the search ended before its last trial; empty where it did not.
    """

    def __init__(
        self,
        groups: Groups,
        suggester: StudySuggester,
        recorder: Recorder,
        slots: Callable[[], int],
        spending: Spending,
    ) -> None:
        """Plans a run.

        Args:
            groups: The search space, resolved.
            suggester: It chooses the ratios of the search.
            recorder: It knows the run, and what has finished, also in an earlier process.
            slots: Tells how many engines can run side by side now.
            spending: It knows what the budget allows.
        """
        names = recorder.run.objectives.names
        super().__init__(metric=list(names), mode=["max"] * (len(names) - 1) + ["min"])
        self._config = recorder.run.config
        self._groups = groups
        self._suggester = suggester
        self._recorder = recorder
        self._slots = slots
        self._spending = spending
        self._trade = UnclearTrade(recorder)
        self._plateau = HypervolumePlateau(recorder.run)
        self.ended = ""
        self._in_flight: dict[str, TrialSpec] = {}
        self._again_after: deque[TrialSpec] = deque()
        self._ended: deque[tuple[str, bool]] = deque()
        self._asked = {split: recorder.finished(split) for split in SPLITS}
        self._again = {trial.number for trial in recorder.run.trials if trial.report}
        trials = recorder.run.trials
        beside = len(trials) - recorder.finished("search")  # numbers that the search leaves out
        self._unused = max([self._config.trials + beside, *(trial.number + 1 for trial in trials)])
        models = len(groups.models)
        self._others = self._new(first_shares(models, whole=True))
        self._queue: deque[Trial] = deque()
        steps = [self._last_steps] if are_steps(self._config.aligned) else []
        of_several = [*steps, self._way_to_best, *[self._soup] * (models - 1)] if models > 1 else []
        self._steps: list[Callable[[], list[Trial] | None]] = [
            self._uniform,
            *of_several,
            self._candidates,
            self._twin,
        ]

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles it to restore from; a run goes on from its own folder instead.
        return {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Gives the next trial, None while it is not known yet or there is no room for it, or `FINISHED`."""
        self.settle()
        # One more than there are engines: the next ratios are known while all of them work.
        if len(self._in_flight) > self._slots():
            return None
        spec = self._again_after.popleft() if self._again_after else self._next()
        if spec is None:
            return None
        if isinstance(spec, str):
            return None if self._in_flight else spec  # what still runs may have to run again
        self._in_flight[trial_id] = spec
        return spec.to_config()

    def _next(self) -> TrialSpec | str | None:
        if why := self._trade.found():
            self.ended, self._steps = why, []
            self._queue.clear()
        spec = self._search() if self._searches() else self._report()
        if isinstance(spec, TrialSpec):
            self._asked[spec.split] += 1
        return spec

    def _searches(self) -> bool:
        if self.ended or self._asked["search"] >= self._config.trials:
            return False
        self.ended = self._plateau.reached(self._recorder.run.trials) or self._budget_is_spent()
        return not self.ended

    def _budget_is_spent(self) -> str:
        if self._asked["search"] < self._config.first_points or self._spending.allows_search(*self._spent()):
            return ""
        return f"what is left of the budget of {self._spending} is for the report"

    def _spent(self) -> tuple[StoredRun, Mapping[Evaluated, int]]:
        return self._recorder.run, Counter(spec.asks for spec in self._in_flight.values())

    def _search(self) -> TrialSpec | None:
        # Short trials would otherwise be over before a slow engine has scored base or aligned.
        if self._trade.pending and self._asked["search"] >= max(1 + len(self._groups.models), self._slots() + 1):
            return None
        spec = self._suggester.suggest()
        if spec is None and len(self._in_flight) < self._slots():
            # An engine is idle, and nothing else in this process is as urgent.
            uniform = self._uniform()
            # Some are kept for the end of the search, when engines would wait for the last trials.
            if len(uniform) > self._slots():
                return self._again_on_report(uniform[0])
            spec = self._suggester.suggest(wait=None)
        return spec

    def _report(self) -> TrialSpec | str | None:
        while not self._queue and self._steps:
            ready = self._steps[0]()
            if ready is None:
                return None
            self._queue.extend(ready)
            self._steps.pop(0)
        if self._queue and self._queue[0].origin not in ALWAYS and not self._spending.allows_report(*self._spent()):
            left = [trial for trial in self._queue if trial.origin not in ALWAYS]
            self._recorder.tell(f"the budget of {self._spending} leaves {len(left)} points of the search unreported")
            self._queue = deque(trial for trial in self._queue if trial.origin in ALWAYS)
            return self._report()
        return self._again_on_report(self._queue.popleft()) if self._queue else str(Searcher.FINISHED)

    def _again_on_report(self, trial: Trial) -> TrialSpec:
        self._again.add(trial.number)
        return TrialSpec(trial.number, trial.origin, trial.ratios, "report")

    def _uniform(self) -> list[Trial]:
        """The uniform points to score on the report split now: those of the search once they are complete there."""
        ready = [t for t in self._recorder.run.trials if t.origin == "baseline" and t.state == "complete" and t.search]
        return [trial for trial in [*ready, *self._others] if trial.number not in self._again]

    def _new(self, shares: Iterable[tuple[float, ...]]) -> list[Trial]:
        """Points of the baseline that are scored on the report split only, and have not been."""
        first = first_shares(len(self._groups.models), whole="uniform" in self._config.warm_start)
        known = [self._groups.everywhere(each) for each in first]
        known += [t.ratios for t in self._recorder.run.trials if t.origin == "baseline" and (t.report or t.reason)]
        wanted = [ratios for ratios in map(self._groups.everywhere, shares) if ratios not in known]
        start, self._unused = self._unused, self._unused + len(wanted)
        return [Trial(number, "complete", "baseline", ratios) for number, ratios in enumerate(wanted, start)]

    def _alone(self) -> list[int]:
        """The positions of the aligned models, by falling reward on the search split; empty where one has none."""
        baseline = [
            t for t in self._recorder.run.trials if t.origin == "baseline" and t.state == "complete" and t.search
        ]
        if "aligned" not in ends_of(baseline):
            return []
        models = self._groups.models
        reward = {models.index(trial.alone): trial.reward for trial in baseline if trial.alone is not None}
        return sorted(reward, key=lambda model: -reward[model])

    def _way_to_best(self) -> list[Trial]:
        """The points between base and the best of several aligned models."""
        return [trial for best in self._alone()[:1] for trial in self._new(ways_to(best, len(self._groups.models)))]

    def _last_steps(self) -> list[Trial]:
        """The averages of the last steps of one run."""
        return self._new(last_steps(len(self._groups.models)))

    def _soup(self) -> list[Trial] | None:
        """The next greedy soup: equal parts of aligned models, in the order of their reward, kept where they help.

        What helps is decided on the report split, which flatters this baseline and no point of the search.
        """
        if self._recorder.finished("report") < self._asked["report"]:
            return None
        scored = {
            tuple(sorted(trial.ratios.items())): trial.seen_on("report").reward if trial.report else -math.inf
            for trial in self._recorder.run.trials
            if trial.origin == "baseline" and (trial.report or trial.reason)
        }
        soup: list[int] = []
        best = -math.inf
        for model in self._alone():
            shares = average(1.0, len(self._groups.models), [*soup, model])
            reward = scored.get(tuple(sorted(self._groups.everywhere(shares).items())))
            if reward is None:
                return self._new([shares])
            if reward > best:
                soup, best = [*soup, model], reward
        return []

    def _candidates(self) -> list[Trial] | None:
        if self._recorder.finished("search") < self._asked["search"]:
            return None
        run = self._recorder.run
        items = {trial.number: run.items.read("search", trial.number) for trial in run.searched_pareto.scored}
        chosen = candidates(run.searched_pareto, run.objectives, items, self._config.report.points)
        # A uniform trial may have been among the last to finish.
        return [*self._uniform(), *(trial for trial in chosen if trial.number not in self._again)]

    def _twin(self) -> list[Trial] | None:
        if self._recorder.finished("report") < self._asked["report"]:
            return None
        run = self._recorder.run
        try:
            knee = run.pareto_of(run.trials, "report").pick("knee")
        except UserError:
            return []
        if knee.uniform_ratio is not None:
            return []
        twin = self._groups.everywhere(average(knee.mean_ratio, len(self._groups.models)))
        if any(trial.origin == "twin" and trial.ratios == twin for trial in run.trials):
            return []
        number = max(trial.number for trial in run.trials) + 1
        return [Trial(number, "complete", "twin", twin)]

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Notes that a trial ended. Tune calls this before the recorder, and the sampler is to hear of it after."""
        self._ended.append((trial_id, error))

    def settle(self) -> None:
        """Sees to the trials that have ended, which the recorder has on disk by now.

        One whose engine failed is handed out again; Tune's own retries do not cover an actor that dies between trials.
        The sampler hears of the others.
        """
        while self._ended:
            trial_id, error = self._ended.popleft()
            spec = self._in_flight.pop(trial_id)
            if error and spec.attempt < ATTEMPTS:
                self._again_after.append(replace(spec, attempt=spec.attempt + 1))
            elif spec.split == "search":
                self._suggester.tell(spec, self._recorder.scores_of(spec.number))

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: `trials.csv` and `items` hold what a run knows."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""
