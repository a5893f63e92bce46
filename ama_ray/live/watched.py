"""`Watched`: what is known of a search that is under way, from its events."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from ama_ray.live.time_left import TimeLeft
from ama_ray.tuning.events import RunOpened, StageStarted, StopRequested, TrialFinished, TrialStarted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ama_ray.config import RunConfig
    from ama_ray.pareto.pareto_set import ParetoSet
    from ama_ray.tuning.events import Event


class Watched:
    """Counts in step with the events; nothing here looks at all trials again.

    Attributes:
        began: When the watching began, by `clock`.
        doing: The step before the first trial, and since when; empty afterwards.
        config: The run, once it is open.
        so_far: The front of the search.
        ended: Trials of the search that ended, by state.
        reported: Trials scored on the report split.
        running: Number and split of those that have an engine.
        line: What was last said about a trial.
        engines: That there is room for.
        nodes: Of the cluster.
        seconds: Of all trials by stage.
        stopping: A signal asked the search to end.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Watches by a clock that tells seconds."""
        self.clock = clock
        self.began = clock()
        self.doing, self.doing_since = "", self.began
        self.config: RunConfig | None = None
        self.so_far: ParetoSet | None = None
        self.ended: Counter[str] = Counter()
        self.reported = 0
        self.running: set[tuple[int, str]] = set()
        self.line = ""
        self.engines, self.nodes = 0, 0
        self.seconds: Mapping[str, float] = {}
        self.stopping = False
        self._time_left = TimeLeft()

    def hear(self, event: Event) -> None:
        """Takes in an event."""
        if isinstance(event, StageStarted):
            self.doing, self.doing_since = event.what, self.clock()
        elif isinstance(event, RunOpened):
            self.config = event.config
            self.ended = Counter(trial.state for trial in event.earlier.searched)
            self.reported = sum(trial.report is not None for trial in event.earlier.trials)
            self.so_far = event.earlier.searched_pareto if event.earlier.trials else None
        elif isinstance(event, TrialStarted):
            self.running.add((event.number, event.split))
        elif isinstance(event, TrialFinished):
            self._finished(event)
        elif isinstance(event, StopRequested):
            self.stopping = True

    def _finished(self, event: TrialFinished) -> None:
        self.doing = ""
        trial = event.trial
        self.running.discard((trial.number, trial.split))
        if trial.split == "report":
            self.reported += 1
        else:
            self.ended[trial.state] += 1
        self.so_far = event.so_far or self.so_far
        self.line, self.engines, self.nodes, self.seconds = event.line, event.engines, event.nodes, event.seconds
        self._time_left.ended(self.clock())

    @property
    def searched(self) -> int:
        """Trials of the search that have ended."""
        return sum(self.ended.values())

    @property
    def time_left(self) -> tuple[float, float] | None:
        """Seconds, and half of their 95% interval; None while that is not known.

        On the report split come the uniform points, at least the rest of the front, at most `report.points`, and last
        the uniform point with the mean ratio of the knee.
        """
        if self.config is None:
            return None
        others = sum(trial.origin != "baseline" for trial in self.so_far.front) if self.so_far else 0
        most = self.config.report.points
        search = self.config.trials - self.searched
        uniform = self.config.baseline_points + 1
        fewest_left, most_left = (
            max(0, search) + max(0, uniform + points - self.reported) for points in (min(others, most), most)
        )
        return self._time_left(fewest_left, most_left, self.clock())
