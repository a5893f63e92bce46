"""What a run would recommend after a search: from its trials to the front on the report split, without a run.

The road is that of `ama_ray.tuning.searcher` and `ama_ray.run`, by the same functions.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from ama_ray.analysis.candidates import candidates
from ama_ray.analysis.domination import undecided
from ama_ray.analysis.trade_test import TradeTest
from ama_ray.config import BASELINE_RATIOS, Report
from ama_ray.pareto.pareto_set import ParetoSet
from ama_ray.scores.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ama_ray.config import Split
    from ama_ray.scores.objectives import Items, Objectives


class Reported(Protocol):
    """A landscape with two splits.

    Attributes:
        groups: The names of the ratios.
        objectives: What is traded.
    """

    groups: tuple[str, ...]
    objectives: Objectives

    def items(self, ratios: Mapping[str, float], split: Split) -> Items:
        """What a split sees of some ratios, item by item; the same every time."""


def recommended(landscape: Reported, tried: Sequence[Mapping[str, float]]) -> ParetoSet:
    """The front on the report split: of the candidates of a search, and of the uniform points that every run scores.

    Args:
        landscape: That was searched.
        tried: The ratios of the search's trials, in their order.
    """
    objectives = landscape.objectives
    trials = [_trial(number, ratios) for number, ratios in enumerate(tried)]
    items = {trial.number: landscape.items(trial.ratios, "search") for trial in trials}
    base = landscape.items(dict.fromkeys(landscape.groups, 0.0), "search")
    searched = [replace(trial, search=objectives.scores(items[trial.number], base)) for trial in trials]
    chosen = candidates(ParetoSet(searched), objectives, items, Report().points)
    uniform = [trial for trial in searched if trial.origin == "baseline"]
    done = {trial.uniform_ratio for trial in uniform}
    others = [dict.fromkeys(landscape.groups, ratio) for ratio in BASELINE_RATIOS if ratio not in done]
    uniform += [_trial(number, ratios) for number, ratios in enumerate(others, len(tried))]
    trials = [*uniform, *chosen]
    return reported(objectives, trials, {trial.number: landscape.items(trial.ratios, "report") for trial in trials})


def reported(objectives: Objectives, trials: Sequence[Trial], items: Mapping[int, Items]) -> ParetoSet:
    """The front on the report split.

    Args:
        objectives: What is traded.
        trials: Those that the report scores, base and aligned among them.
        items: What each scored there, by its number.
    """
    ends = {trial.uniform_ratio: items[trial.number] for trial in trials if trial.origin == "baseline"}
    scored = [replace(trial, report=objectives.scores(items[trial.number], ends[0.0])) for trial in trials]
    pareto = ParetoSet(scored, split="report", won=TradeTest.of(objectives, ends[0.0], ends[1.0]).intervals)
    return pareto.with_undecided(undecided(pareto, objectives, items))


def _trial(number: int, ratios: Mapping[str, float]) -> Trial:
    uniform = any(set(ratios.values()) == {ratio} for ratio in BASELINE_RATIOS)
    return Trial(number, "complete", "baseline" if uniform else "sampler", dict(ratios))
