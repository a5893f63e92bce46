"""`Trade`: base and aligned of a run, and how far a trial is between them in each objective."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ama_ray.errors import UserError
from ama_ray.scores.interval import Interval
from ama_ray.scores.tokens import TOKENS
from ama_ray.scores.trial import Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ama_ray.scores.trial import Trial


@dataclass(frozen=True)
class Trade:
    """What there is to trade between base and aligned.

    Attributes:
        objectives: Names: those of the rewards, maximised, then `tax`, minimised.
        ends: Base and aligned, as far as they are complete, by `base` and `aligned`; see `ends_of`.
        why_none: Why there is nothing to trade, such as an aligned model that costs no tax beyond error; empty where
            there is.
    """

    objectives: tuple[str, ...]
    ends: dict[str, Trial]
    why_none: str

    @classmethod
    def between(
        cls, uniform: Sequence[Trial], objectives: tuple[str, ...], won: Mapping[str, Interval] | None = None
    ) -> Trade:
        """Finds base and aligned among the baseline of a run, seen on one split (`ends_of`).

        There is a trade where aligned has more of every reward than base and costs a tax, each beyond error: the whole
        95% interval of the difference is above 0.

        Args:
            uniform: The baseline trials.
            objectives: Names: those of the rewards, then `tax`.
            won: By objective, how much more than base aligned has, paired item by item. An objective that it does not
                name has the errors of both models added as those of independent estimates: wider, as both answered the
                same prompts; and exact for the tax, which is paired already.
        """
        ends = ends_of(uniform)
        return cls(objectives, ends, _why_none(ends, objectives, won or {}))

    @property
    def base(self) -> Trial:
        """The uniform trial at ratio 0.

        Raises:
            UserError: It failed, or has not run yet.
        """
        return self._end("base")

    @property
    def aligned(self) -> Trial:
        """The uniform trial at ratio 1.

        Raises:
            UserError: It failed, or has not run yet.
        """
        return self._end("aligned")

    def share(self, trial: Trial, objective: str) -> float:
        """How far a trial is from base (0) to aligned (1) in one objective.

        Of tokens, how many it saves: none (0) where it says as much as base or aligned, whichever says more.

        Raises:
            UserError: Base or aligned has no complete trial.
        """
        value, base, aligned = (each.objectives[objective].value for each in (trial, self.base, self.aligned))
        if objective == TOKENS:
            return 1 - value / self.span(TOKENS)
        return (value - base) / (aligned - base)

    def span(self, objective: str) -> float:
        """What a `share` of 1 is, in units of the objective.

        Raises:
            UserError: Base or aligned has no complete trial.
        """
        base, aligned = (each.objectives[objective].value for each in (self.base, self.aligned))
        return max(base, aligned) if objective == TOKENS else aligned - base

    def gain(self, trial: Trial) -> float:
        """The `share` of what aligned won, the mean over all objectives but the tax.

        Raises:
            UserError: Base or aligned has no complete trial.
        """
        shares = [self.share(trial, name) for name in self.objectives[:-1]]
        return math.fsum(shares) / len(shares)

    def above_line(self, trial: Trial) -> float:
        """How far a trial is above the line from base to aligned: `gain` minus the `share` of the tax.

        Raises:
            UserError: Base or aligned has no complete trial.
        """
        return self.gain(trial) - self.share(trial, "tax")

    def _end(self, name: str) -> Trial:
        if name not in self.ends:
            raise UserError(_missing(name))
        return self.ends[name]


def ends_of(baseline: Sequence[Trial]) -> dict[str, Trial]:
    """Base and aligned among the complete baseline trials of a run, seen on one split, as far as they are there.

    Of several aligned models, aligned is the one with the highest first reward, once all of them are there.
    """
    base = [trial for trial in baseline if trial.uniform_ratio == 0]
    aligned = [trial for trial in baseline if trial.alone is not None]
    found = {"base": base[-1]} if base else {}
    if aligned and len({trial.alone for trial in aligned}) == aligned[0].models:
        found["aligned"] = max(reversed(aligned), key=lambda trial: trial.reward)
    return found


def reward_called(name: str) -> str:
    """How a sentence calls a reward objective: `reward`, or `reward helpful` where it has a name of its own."""
    return name if name == "reward" else f"reward {name}"


def _missing(name: str) -> str:
    return f"The {name} model has no complete trial (uniform ratio {0 if name == 'base' else 1})."


def _why_none(ends: dict[str, Trial], objectives: tuple[str, ...], won: Mapping[str, Interval]) -> str:
    for name in ("base", "aligned"):
        if name not in ends:
            return f"t{_missing(name)[1:-1]}"
    base, aligned = ends["base"].objectives, ends["aligned"].objectives
    for name in objectives:
        if math.isinf(aligned[name].value) or math.isinf(base[name].value):
            return f"the {name} of base or aligned is infinite"
        if name == TOKENS:
            continue  # aligned may say more than base or less
        gain = won.get(name) or _difference(aligned[name], base[name])
        if not gain.low > 0:
            what = "costs no tax" if name == "tax" else f"does not raise the {reward_called(name)}"
            beyond = " beyond error" if gain.value > 0 else ""
            known = math.isfinite(gain.low)
            error = f"95% interval {gain.low:.3g} to {gain.high:.3g}" if known else "its error is not known"
            return f"the aligned model {what}{beyond} (aligned minus base {gain.value:.3g}, {error})"
    return ""


def _difference(one: Estimate, other: Estimate) -> Interval:
    return Interval.normal(Estimate(one.value - other.value, math.hypot(one.se, other.se)))
