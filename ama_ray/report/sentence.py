"""What a run won, in a sentence or two."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ama_ray.report.named import PLUS_MINUS, best_uniform, decimals, plus_minus

if TYPE_CHECKING:
    from ama_ray.pareto import ParetoSet
    from ama_ray.trial import Trial


def sentence(pareto: ParetoSet) -> str:
    """What the run won: the knee against base, aligned and uniform averaging, and the hypervolumes.

    Where there is nothing to trade, it says why, and names the point with the highest reward.
    """
    if not pareto.front:
        failed = [trial for trial in pareto.trials if trial.state == "failed"]
        why = f"; the last of {len(failed)} failures: {failed[-1].reason}" if failed else ""
        return f"No trial is complete{why}."
    told = _Told(pareto)
    return f"{told.no_trade() if pareto.no_trade else told.trade()} {PLUS_MINUS}"


class _Told:
    def __init__(self, pareto: ParetoSet) -> None:
        self.pareto = pareto
        shown = (*pareto.front, *pareto.uniform)
        self.reward_places = decimals(trial.reward for trial in shown)
        self.tax_places = decimals(trial.tax for trial in shown)

    def reward(self, trial: Trial) -> str:
        return plus_minus(trial.reward, trial.reward_se, self.reward_places)

    def tax(self, trial: Trial) -> str:
        return plus_minus(trial.tax, trial.tax_se, self.tax_places)

    def no_trade(self) -> str:
        top = self.pareto.front[-1]
        reason = self.pareto.no_trade
        return (
            f"There is no trade between base and aligned to improve: {reason}. The highest reward is "
            f"{self.reward(top)}, of trial {top.number}, with tax {self.tax(top)}."
        )

    def trade(self) -> str:
        knee, base, aligned = self.pareto.pick("knee"), self.pareto.base, self.pareto.aligned
        volumes = (
            f"Hypervolume (1 is the box between base and aligned): front {self.pareto.hypervolume:.3f}, "
            f"uniform {self.pareto.uniform_hypervolume:.3f}."
        )
        if self.pareto.above_line(knee) <= 0:
            return f"No averaging found is above the straight line from base to aligned. {volumes}"
        return (
            f"The knee (trial {knee.number}) keeps {self._kept(knee)} of the reward that alignment won "
            f"({self.reward(knee)}; base {self.reward(base)}, aligned {self.reward(aligned)}) at {self._cost(knee)} "
            f"({self.tax(knee)}; aligned {self.tax(aligned)}); {self._uniform(knee)}. {volumes}"
        )

    def _kept(self, trial: Trial) -> str:
        base = self.pareto.base.reward
        return f"{(trial.reward - base) / (self.pareto.aligned.reward - base):.0%}"

    def _cost(self, trial: Trial) -> str:
        return f"{trial.tax / self.pareto.aligned.tax:.0%} of its tax" if trial.tax > 0 else "none of its tax"

    def _uniform(self, knee: Trial) -> str:
        best = best_uniform(self.pareto)
        if best is None:
            return "no uniform point has as little tax"
        if best.number == knee.number:
            return f"it is the uniform point at ratio {best.uniform_ratio:g}"
        return (
            f"the best uniform point at no more tax (ratio {best.uniform_ratio:g}) keeps {self._kept(best)} "
            f"({self.reward(best)}) at {self._cost(best)} ({self.tax(best)})"
        )
