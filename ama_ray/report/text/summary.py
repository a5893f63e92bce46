"""What a run won, in a few sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ama_ray.pareto.named_points import best_uniform
from ama_ray.pareto.trade import reward_called
from ama_ray.report.formatting import PLUS_MINUS, decimals, plus_minus
from ama_ray.report.notes import conditions, split_note, used_test_data, volumes
from ama_ray.report.text.trade import ending

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ama_ray.run import StoredRun
    from ama_ray.scores.trial import Trial


def sentence(run: StoredRun) -> str:
    """What the run won: the knee against base, aligned and uniform averaging, and the hypervolumes.

    Where the search used test data, it says so first. Where base and aligned did not differ beyond error, and the
    search ended there, it says so alone. Where there is nothing to trade, it says why, and names the
    point with the highest reward. Where no trial satisfies the constraints, it names the nearest one.
    """
    return " ".join(part for part in (used_test_data(run), _told(run)) if part)


def _told(run: StoredRun) -> str:
    pareto = run.pareto
    if pareto.left_out and not pareto.front:
        return f"{pareto.no_front}. {split_note(pareto)} {PLUS_MINUS}"
    if not pareto.front:
        failed = [trial for trial in run.trials if trial.state == "failed"]
        why = f"; the last of {len(failed)} failures: {failed[-1].reason}" if failed else ""
        return f"No trial is complete{why}."
    told = _Told(run)
    if run.stopping_test:
        return f"The search ended after {len(run.searched)} trials: {ending(run.stopping_test, run)}."
    parts = [told.no_trade() if pareto.no_trade else told.trade(), conditions(pareto), split_note(pareto), PLUS_MINUS]
    return " ".join(part for part in parts if part)


class _Told:
    def __init__(self, run: StoredRun) -> None:
        self.run = run
        self.pareto = pareto = run.pareto
        self.rewards = pareto.objectives[:-1]
        shown = (*pareto.front, *pareto.uniform)
        self.places = {name: decimals(trial.objectives[name].value for trial in shown) for name in pareto.objectives}

    def value(self, trial: Trial, name: str) -> str:
        estimate = trial.objectives[name]
        return plus_minus(estimate.value, estimate.se, self.places[name])

    def no_trade(self) -> str:
        top, first = max(self.pareto.front, key=lambda trial: trial.reward), self.rewards[0]
        return (
            f"There is no trade between base and aligned to improve: {self.pareto.no_trade}. The highest "
            f"{reward_called(first)} is {self.value(top, first)}, of trial {top.number}, with tax "
            f"{self.value(top, 'tax')}."
        )

    def trade(self) -> str:
        knee, base, aligned = self.pareto.pick("knee"), self.pareto.base, self.pareto.aligned
        if self.pareto.trade.above_line(knee) <= 0:
            return f"No averaging found is above the straight line from base to aligned. {volumes(self.run)}"
        kept = self._listed(
            f"{self.pareto.trade.share(knee, name):.0%} of the {reward_called(name)} that alignment won "
            f"({self.value(knee, name)}; base {self.value(base, name)}, aligned {self.value(aligned, name)})"
            for name in self.rewards
        )
        return (
            f"The knee (trial {knee.number}) keeps {kept} at {self._cost(knee)} ({self.value(knee, 'tax')}; aligned "
            f"{self.value(aligned, 'tax')}); {self._uniform(knee)}. {volumes(self.run)}"
        )

    def _listed(self, parts: Iterable[str]) -> str:
        *first, last = parts
        return f"{', '.join(first)} and {last}" if first else last

    def _cost(self, trial: Trial) -> str:
        return f"{trial.tax / self.pareto.aligned.tax:.0%} of its tax" if trial.tax > 0 else "none of its tax"

    def _uniform(self, knee: Trial) -> str:
        best = best_uniform(self.pareto)
        if best is None:
            which = " that satisfies the constraints" if self.pareto.constraints else ""
            return f"no uniform point{which} has as little tax"
        if best.number == knee.number:
            return f"it is the uniform point at ratio {best.uniform_ratio:g}"
        several = len(self.rewards) > 1
        kept = self._listed(
            f"{self.pareto.trade.share(best, name):.0%}{f' of {name}' if several else ''} ({self.value(best, name)})"
            for name in self.rewards
        )
        return (
            f"the best uniform point at no more tax (ratio {best.uniform_ratio:g}) keeps {kept} at {self._cost(best)} "
            f"({self.value(best, 'tax')})"
        )
