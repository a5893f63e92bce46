"""`Schedule`: the trials of a run in their order, first those of the search, then those of the report."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from ray.tune.search import Searcher

from ama_ray.comparison import candidates
from ama_ray.errors import UserError
from ama_ray.pareto import ParetoSet
from ama_ray.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.inputs import Inputs
    from ama_ray.objectives import Objectives
    from ama_ray.tuning.recorder import Recorder
    from ama_ray.tuning.searcher import ParetoSearcher


class Schedule(Searcher):
    """Hands Tune one trial after another: the search's, then those to be scored again on the report split.

    The uniform points are scored again while the last trials of the search still run, so that no engine waits; then
    come the points that are or could be on the front, and last the twin of the knee: the uniform point with its mean
    ratio, against which it is compared.
    """

    def __init__(self, inputs: Inputs, objectives: Objectives, searcher: ParetoSearcher, recorder: Recorder) -> None:
        """Plans a run.

        Args:
            inputs: The opened run.
            objectives: Of the run.
            searcher: Chooses the ratios of the search.
            recorder: Knows what has finished.
        """
        super().__init__(metric=list(objectives.names), mode=["max"] * (len(objectives.names) - 1) + ["min"])
        self._config = inputs.config
        self._objectives = objectives
        self._searcher = searcher
        self._recorder = recorder
        self._searching: set[str] = set()
        self._asked = {"search": 0, "report": 0}
        self._queue: deque[Trial] = deque()
        self._steps = [self._uniform, self._candidates, self._twin]

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial, None while it is not known yet, or `FINISHED`."""
        if self._asked["search"] < self._config.trials:
            suggestion = self._searcher.suggest(trial_id)
            if suggestion is not None:
                self._searching.add(trial_id)
                self._asked["search"] += 1
                suggestion |= {"split": "search"}
            return suggestion
        while not self._queue and self._steps:
            ready = self._steps[0]()
            if ready is None:
                return None
            self._queue.extend(ready)
            self._steps.pop(0)
        if not self._queue:
            return str(Searcher.FINISHED)
        self._asked["report"] += 1
        trial = self._queue.popleft()
        return {"number": trial.number, "origin": trial.origin, "ratios": trial.ratios, "split": "report"}

    def _uniform(self) -> Sequence[Trial] | None:
        return [trial for trial in self._recorder.trials if trial.origin == "baseline" and trial.state == "complete"]

    def _candidates(self) -> Sequence[Trial] | None:
        if self._recorder.finished("search") < self._asked["search"]:
            return None
        trials = [trial for trial in self._recorder.trials if trial.state == "complete"]
        items = {trial.number: self._recorder.items.read("search", trial.number) for trial in trials}
        return candidates(trials, self._objectives, items, self._config.report.points)

    def _twin(self) -> Sequence[Trial] | None:
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
        if trial_id in self._searching:
            self._searcher.on_trial_complete(trial_id, result, error)

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: `trials.csv` and `items` hold what a run knows."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""
