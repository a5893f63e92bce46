"""What a run won, in a few sentences."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from ama_ray.pareto.named_points import best_uniform
from ama_ray.pareto.trade import reward_called
from ama_ray.report.formatting import PLUS_MINUS, decimals, plus_minus, with_interval
from ama_ray.report.notes import brackets, conditions, cut_off_note, numbered, split_note, used_test_data, volumes
from ama_ray.report.text.trade import ending
from ama_ray.scores.tokens import TOKENS, rewards_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ama_ray.run import StoredRun
    from ama_ray.scores.interval import Interval
    from ama_ray.scores.trial import Trial


def sentence(run: StoredRun) -> str:
    """What the run won: the knee against base, aligned and uniform averaging, and the hypervolumes.

    Where the search used test data, it says so first. Where base and aligned did not differ beyond error, and the
    search ended there, it says so alone. Where there is nothing to trade, it says why, and names the
    point with the highest reward. Where no trial satisfies the constraints, it names the nearest one.
    """
    return " ".join(part for part in (used_test_data(run), _told(run)) if part)


def gist(run: StoredRun) -> str:
    """The first words of `sentence`: without the hypervolumes and the notes, which stand below the table of a front."""
    pareto = run.pareto
    if pareto.left_out and not pareto.front:
        return f"{pareto.no_front}."
    if not pareto.front:
        failed = [trial for trial in run.trials if trial.state == "failed"]
        why = f"; the last of {len(failed)} failures: {failed[-1].reason}" if failed else ""
        return f"No trial is complete{why}."
    if run.stopping_test:
        return f"The search ended after {len(run.searched)} trials: {ending(run.stopping_test, run)}."
    return _Told(run).no_trade() if pareto.no_trade else _Told(run).trade()


def _told(run: StoredRun) -> str:
    pareto = run.pareto
    if not pareto.front:
        return f"{gist(run)} {split_note(pareto)} {PLUS_MINUS}" if pareto.left_out else gist(run)
    if run.stopping_test:
        return gist(run)
    notes = [conditions(pareto), cut_off_note(pareto), split_note(pareto), brackets(run), PLUS_MINUS]
    return " ".join(filter(None, [gist(run), "" if pareto.no_trade else volumes(run), *notes]))


def told_of_knee(run: StoredRun) -> str:
    """What the knee keeps, against aligned and uniform averaging; there must be a trade and a front."""
    return _Told(run).of_knee()


class _Told:
    def __init__(self, run: StoredRun) -> None:
        self.run = run
        self.pareto = pareto = run.pareto
        self.rewards = rewards_of(pareto.objectives)
        shown = (*pareto.front, *pareto.baseline)
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
        knee = self.pareto.pick("knee")
        if self.pareto.trade.above_line(knee) <= 0:
            return "No averaging found is above the straight line from base to aligned."
        return self.of_knee()

    def of_knee(self) -> str:
        knee, base, aligned = self.pareto.pick("knee"), self.pareto.base, self.pareto.aligned
        at_knee = self.run.claims.knee
        kept = self._listed(
            f"{self._share(knee, name, at_knee)} of the {reward_called(name)} that alignment won "
            f"({self.value(knee, name)}; base {self.value(base, name)}, aligned {self.value(aligned, name)})"
            for name in self.rewards
        )
        return (
            f"The knee (trial {knee.number}) keeps {kept} at {self._cost(knee, at_knee)} ({self.value(knee, 'tax')}; "
            f"aligned {self.value(aligned, 'tax')}){self._tokens(knee)}; {self._uniform(knee)}.{self._over_twin(knee)}"
            f"{self._alike(knee)}"
        )

    def _tokens(self, knee: Trial) -> str:
        if TOKENS not in self.pareto.objectives:
            return ""
        base, aligned = (self.value(end, TOKENS) for end in (self.pareto.base, self.pareto.aligned))
        return f", with {self.value(knee, TOKENS)} tokens per reply (base {base}, aligned {aligned})"

    def _share(self, trial: Trial, name: str, claims: Mapping[str, Interval]) -> str:
        """How far a trial is from base to aligned, with the interval of a claim where there is one."""
        value = self.pareto.trade.share(trial, name)
        return with_interval(replace(claims[name], value=value), "z.0%") if name in claims else f"{value:z.0%}"

    def _over_twin(self, knee: Trial) -> str:
        """What the knee has against uniform averaging at its mean ratio."""
        over = self.run.claims.over_twin
        if not over:
            return ""
        has = self._listed(f"{with_interval(each, f'+z.{self.places[name]}f')} {name}" for name, each in over.items())
        return f" Against uniform averaging at the same mean ratio ({knee.mean_ratio:.3g}) it has {has}."

    def _alike(self, knee: Trial) -> str:
        """Which other points of the front cannot be told from the knee."""
        others = self.run.claims.alike(knee.number)
        return f" Of the front, {numbered(others)} cannot be told from it." if others else ""

    def _listed(self, parts: Iterable[str]) -> str:
        *first, last = parts
        return f"{', '.join(first)} and {last}" if first else last

    def _cost(self, trial: Trial, claims: Mapping[str, Interval]) -> str:
        if trial.tax > 0 or "tax" in claims:
            return f"{self._share(trial, 'tax', claims)} of its tax"
        return "none of its tax"

    def _uniform(self, knee: Trial) -> str:
        best = best_uniform(self.pareto)
        if best is None:
            which = " that satisfies the constraints" if self.pareto.constraints else ""
            return f"no uniform point{which} has as little tax"
        if best.number == knee.number:
            return f"it is the {_called(best)}"
        several = len(self.rewards) > 1
        beside = self.run.claims.beside
        kept = self._listed(
            f"{self._share(best, name, beside)}{f' of {name}' if several else ''} ({self.value(best, name)})"
            for name in self.rewards
        )
        return (
            f"the best {_point(best)} at no more tax ({_ratio(best)}) keeps {kept} at "
            f"{self._cost(best, beside)} ({self.value(best, 'tax')}){self._gain()}"
        )

    def _gain(self) -> str:
        """How much more the knee keeps than the uniform point beside it."""
        gain = self.run.claims.gain
        if math.isnan(gain.low):
            return ""
        with_tokens = TOKENS in self.pareto.objectives
        mean = ", the mean over the rewards" * (len(self.rewards) > 1 or with_tokens)
        mean += " and the tokens saved" * with_tokens
        doubt = ", not beyond error" * (not gain.significant)
        return f", {with_interval(gain, 'z.0%')} less than the knee{mean}{doubt}"


def _called(best: Trial) -> str:
    """A point of the baseline."""
    return (
        f"uniform point at ratio {best.uniform_ratio:g}" if best.models == 1 else f"point {best.title} of the baseline"
    )


def _point(best: Trial) -> str:
    return "uniform point" if best.models == 1 else "point of the baseline"


def _ratio(best: Trial) -> str:
    return f"ratio {best.uniform_ratio:g}" if best.models == 1 else best.title
