"""`Spending`: what a run has spent of its budget, and whether that allows another trial."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ama_ray.config.report import BASELINE_RATIOS, FIRST_RATIOS
from ama_ray.errors import UserError
from ama_ray.evaluation import work

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ama_ray.config import Budget, Evaluated, RunConfig
    from ama_ray.evaluation.evaluation import Evaluation
    from ama_ray.run import StoredRun
    from ama_ray.scores.trial import Trial

TWINS = 1
"""Points that the report scores after its front is known: the twin of the knee."""


@dataclass(frozen=True)
class Costs:
    """What trials cost, in tokens: those read, and at most those generated.

    Attributes:
        search: A trial of the search.
        report: A trial on the report split.
        trade: Base or aligned, on all of the search split.
        first: The points of the baseline that every search starts from.
        baseline: The most points of the baseline on the report split.
    """

    search: int
    report: int
    trade: int
    first: int = len(FIRST_RATIOS)
    baseline: int = len(BASELINE_RATIOS)

    @classmethod
    def of(cls, config: RunConfig, evaluations: Mapping[str, Evaluation]) -> Costs:
        """Counts the tokens of the evaluations of a run."""
        search, report, trade = (work.tokens_of_trial(evaluations[name]) for name in ("search", "report", "trade"))
        return cls(search, report, trade, config.first_points, config.baseline_points)

    def of_trial(self, asks: Evaluated) -> int:
        """A trial that asks this."""
        return {"search": self.search, "report": self.report, "trade": self.trade}[asks]

    @property
    def base(self) -> int:
        """What base answers first, from which the tax is measured."""
        return self.trade + self.report

    @property
    def least(self) -> int:
        """What every run takes: base's answers, the first trials, the points of the baseline and the knee's twin."""
        ends = self.first - 1  # base and every aligned model; the last one is between them
        return self.base + ends * self.trade + self.search + (self.baseline + TWINS) * self.report


class Spending:
    """Counts what a run has spent.

    Tokens are counted by what trials ask, and so the same for every machine and after a restart: those read, and at
    most those generated; of a trial that was stopped, its share. Hours are those of this process. How many tokens they
    leave is known once two trials have ended, from the pace between the first of these and now.
    """

    def __init__(self, budget: Budget | None, costs: Costs, clock: Callable[[], float] = time.monotonic) -> None:
        """Starts to count.

        Args:
            budget: Of the run file.
            costs: What trials cost.
            clock: Tells seconds; hours are counted from now on.
        """
        self._budget = budget
        self.costs = costs
        self._clock = clock
        self._began = clock()
        self._before: float | None = None
        self._first: tuple[float, float] | None = None

    @classmethod
    def of(cls, config: RunConfig, evaluations: Mapping[str, Evaluation]) -> Spending:
        """Starts to count the tokens of a run's trials.

        Raises:
            UserError: The budget is less than what every run takes.
        """
        budget, costs = config.budget, Costs.of(config, evaluations)
        if budget and budget.tokens is not None and budget.tokens < costs.least:
            raise UserError(
                f"budget.tokens: {budget.tokens:,} are too few, as base, aligned and the uniform points between them, "
                f"which every run scores, take {costs.least:,}; give more, or fewer items and prompts."
            )
        return cls(budget, costs)

    def __str__(self) -> str:
        """The budget in words."""
        return str(self._budget)

    def allows_search(self, run: StoredRun, under_way: Mapping[Evaluated, int]) -> bool:
        """Whether another trial of the search leaves enough for the report.

        The report takes the uniform points, the points of the front as it is now, and the twin of the knee.

        Args:
            run: With what has ended.
            under_way: How many trials have been handed out, by what they ask, and have not ended.
        """
        if self._budget is None:
            return True
        left = self._left(run, under_way)
        found = sum(trial.origin != "baseline" for trial in run.searched_pareto.front)
        points = run.config.baseline_points + TWINS + min(found, run.config.report.points)
        ahead = max(0, points - len(_reported(run)) - under_way.get("report", 0))
        return left >= self.costs.search + ahead * self.costs.report

    def allows_report(self, run: StoredRun, under_way: Mapping[Evaluated, int]) -> bool:
        """Whether another point can be scored again and the twin of the knee after it; arguments as before."""
        return self._budget is None or self._left(run, under_way) >= (1 + TWINS) * self.costs.report

    def _left(self, run: StoredRun, under_way: Mapping[Evaluated, int]) -> float:
        """Tokens left once what is under way has ended."""
        assert self._budget
        spent = self._spent(run)
        pending = sum(self.costs.of_trial(asks) * count for asks, count in under_way.items())
        left = math.inf if self._budget.tokens is None else self._budget.tokens - spent
        if self._budget.hours is not None:
            left = min(left, self._left_of_hours(spent, self._budget.hours))
        return left - pending

    def _spent(self, run: StoredRun) -> float:
        costs = self.costs
        searched = math.fsum(t.share * (costs.trade if t.is_end else costs.search) for t in run.searched)
        return costs.base + searched + len(_reported(run)) * costs.report

    def _left_of_hours(self, spent: float, hours: float) -> float:
        now = self._clock()
        if self._before is None:
            self._before = spent
        if self._first is None:
            # An engine's start is over with its first trial, and says nothing of the pace.
            self._first = (now, spent) if spent > self._before else None
        if self._first is None or spent == self._first[1]:
            return math.inf
        began, from_there = self._first
        left = self._began + 3600 * hours - now
        return left * (spent - from_there) / max(now - began, 1e-9)


def _reported(run: StoredRun) -> list[Trial]:
    return [trial for trial in run.trials if trial.report]
