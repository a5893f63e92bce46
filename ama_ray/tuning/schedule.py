"""`Schedule`: the trials of a run in their order, first those of the search, then those of the report."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from ray.tune.search import Searcher

from ama_ray.comparison import candidates
from ama_ray.config import BASELINE_RATIOS, FIRST_RATIOS
from ama_ray.errors import UserError
from ama_ray.pareto import ParetoSet
from ama_ray.trial import Trial
from ama_ray.tuning.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Callable

    from ama_ray.inputs import Inputs
    from ama_ray.objectives import Objectives
    from ama_ray.tuning.recorder import Recorder
    from ama_ray.tuning.searcher import ParetoSearcher


class Schedule(Searcher):
    """Hands Tune one trial after another: the search's, then those to be scored again on the report split.

    The uniform points, also those that the search did not start from, are scored on the report split where the sampler
    has nothing ready for an idle engine, and while the last trials of the search still run, so that no engine waits;
    then come the points that are or could be on the front, and
    last the twin of the knee: the uniform point with its mean ratio, against which it is compared.

    Attributes:
        ended: Why the search ended before its last trial; empty where it did not.
    """

    def __init__(
        self, inputs: Inputs, objectives: Objectives, searcher: ParetoSearcher, recorder: Recorder, slots: int
    ) -> None:
        """Plans a run.

        Args:
            inputs: The opened run.
            objectives: Of the run.
            searcher: Chooses the ratios of the search.
            recorder: Knows what has finished.
            slots: Engines that run side by side.
        """
        super().__init__(metric=list(objectives.names), mode=["max"] * (len(objectives.names) - 1) + ["min"])
        self._config = inputs.config
        self._groups = inputs.groups.names
        self._objectives = objectives
        self._searcher = searcher
        self._recorder = recorder
        self._slots = slots
        self._patience = Patience(inputs.config, objectives, recorder.items)
        self.ended = ""
        self._searching: set[str] = set()
        self._in_flight: set[str] = set()
        self._asked = {"search": 0, "report": 0}
        self._again: set[int] = set()
        self._queue: deque[Trial] = deque()
        self._steps: list[Callable[[], list[Trial] | None]] = [self._uniform, self._candidates, self._twin]

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial, None while it is not known yet, or `FINISHED`."""
        suggestion = self._search(trial_id) if self._searches() else self._report()
        if isinstance(suggestion, dict):
            self._asked[suggestion["split"]] += 1
            self._in_flight.add(trial_id)
            if suggestion["split"] == "search":
                self._searching.add(trial_id)
        return suggestion

    def _searches(self) -> bool:
        if self.ended or self._asked["search"] >= self._config.trials:
            return False
        self.ended = self._patience.exhausted(self._recorder.trials) or ""
        return not self.ended

    def _search(self, trial_id: str) -> dict[str, Any] | None:
        suggestion = self._searcher.suggest(trial_id)
        if suggestion is None and len(self._in_flight) < self._slots:
            # An engine is idle. Tune would end it, did another become idle too, and starting one takes long.
            uniform = self._uniform()
            # Some are kept for the end of the search, when engines would wait for the last trials.
            if len(uniform) > self._slots:
                return self._again_on_report(uniform[0])
            suggestion = self._searcher.suggest(trial_id, wait=None)
        return None if suggestion is None else suggestion | {"split": "search"}

    def _report(self) -> dict[str, Any] | str | None:
        while not self._queue and self._steps:
            ready = self._steps[0]()
            if ready is None:
                return None
            self._queue.extend(ready)
            self._steps.pop(0)
        return self._again_on_report(self._queue.popleft()) if self._queue else str(Searcher.FINISHED)

    def _again_on_report(self, trial: Trial) -> dict[str, Any]:
        self._again.add(trial.number)
        return {"number": trial.number, "origin": trial.origin, "ratios": trial.ratios, "split": "report"}

    def _uniform(self) -> list[Trial]:
        """The uniform points to score on the report split now: those of the search once they are complete there."""
        ready = [t for t in self._recorder.trials if t.origin == "baseline" and t.state == "complete" and t.search]
        searched = BASELINE_RATIOS if "uniform" in self._config.warm_start else FIRST_RATIOS
        others = [ratio for ratio in BASELINE_RATIOS if ratio not in searched]
        for number, ratio in enumerate(others, start=self._config.trials):
            ready.append(Trial(number, "complete", "baseline", dict.fromkeys(self._groups, ratio)))
        return [trial for trial in ready if trial.number not in self._again]

    def _candidates(self) -> list[Trial] | None:
        if self._recorder.finished("search") < self._asked["search"]:
            return None
        trials = [t for t in self._recorder.trials if t.state == "complete" and t.search is not None]
        items = {trial.number: self._recorder.items.read("search", trial.number) for trial in trials}
        # A uniform trial may have been among the last to finish.
        return [
            *self._uniform(),
            *candidates(trials, self._objectives, items, self._config.report.points, self._config),
        ]

    def _twin(self) -> list[Trial] | None:
        if self._recorder.finished("report") < self._asked["report"]:
            return None
        try:
            knee = ParetoSet(self._recorder.trials, self._config).pick("knee")
        except UserError:
            return []
        if knee.uniform_ratio is not None:
            return []
        number = max(trial.number for trial in self._recorder.trials) + 1
        return [Trial(number, "complete", "twin", dict.fromkeys(knee.ratios, knee.mean_ratio))]

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tells the sampler how a trial of the search ended."""
        self._in_flight.discard(trial_id)
        if trial_id in self._searching:
            self._searcher.on_trial_complete(trial_id, result, error)

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: `trials.csv` and `items` hold what a run knows."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""
