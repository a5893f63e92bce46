"""What is said of a run whose replies' tokens are an objective, against the same run with tokens saved as a reward."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ama_ray.analysis.candidates import candidates
from ama_ray.analysis.claims import Claims
from ama_ray.analysis.convergence import hypervolume_trace
from ama_ray.analysis.trade_test import TradeTest
from ama_ray.pareto.pareto_set import ParetoSet
from ama_ray.scores.objectives import Objectives, replies_of
from ama_ray.scores.terms import RewardTerm, TokensTerm
from tests.support.made_up_search import LARGE, LINE, OBJECTIVES, search

TOKENS = Objectives(OBJECTIVES.rewards, OBJECTIVES.probes, TokensTerm("kind", is_objective=True))
SAVED = Objectives((*OBJECTIVES.rewards, RewardTerm("saved", "saved", 1.0, 7)), OBJECTIVES.probes)


def made() -> tuple[ParetoSet, ParetoSet, dict[int, dict[str, np.ndarray]]]:
    """The run with tokens; the same with a reward for what is saved, base being the one that saves nothing."""
    trials, items = search([*LINE, (0.6, 0.08), (0.8, 0.2)], 3, LARGE)
    draw = np.random.default_rng(0)
    count = len(items[0]["kind"])
    common = draw.normal(0, 30, size=count)
    every: dict[int, dict[str, np.ndarray]] = {}
    for trial in trials:
        # Base says the most, aligned the least.
        tokens = 500 - 40 * trial.number + 200 * (trial.number == 0) - 250 * (trial.number == 1) + common
        tokens = tokens + draw.normal(0, 5, size=count)
        like = np.column_stack([tokens, np.zeros(count)])
        every[trial.number] = {**items[trial.number], replies_of("kind"): like, "saved": -like[:, :1]}

    def of(objectives: Objectives) -> ParetoSet:
        scored = [replace(t, search=objectives.scores(every[t.number], every[0])) for t in trials]
        won = TradeTest.of(objectives, every[0], every[1]).intervals
        return ParetoSet(scored, won=won)

    return of(TOKENS), of(SAVED), every


def test_a_front_of_tokens_is_that_of_tokens_saved() -> None:
    ours, theirs, every = made()
    assert ours.objectives == ("reward", "tokens", "tax")
    assert not ours.no_trade
    assert [t.number for t in ours.front] == [t.number for t in theirs.front]
    found, known = (
        Claims.of(pareto, objectives, every, resamples=50) for pareto, objectives in ((ours, TOKENS), (theirs, SAVED))
    )
    assert found.on_front == known.on_front
    assert found.groups == known.groups
    assert found.hypervolume.value == pytest.approx(ours.hypervolume)
    assert {name: each.value for name, each in found.knee.items()} == pytest.approx(
        {name: ours.trade.share(ours.pick("knee"), name) for name in ours.objectives}
    )
    assert all(each.low < each.value < each.high for each in (found.hypervolume, *found.knee.values()))
    assert [t.number for t in candidates(ours, TOKENS, every, 3)] != []


def test_the_trace_ends_at_the_front() -> None:
    ours, _, every = made()
    trials = list(ours.scored)
    steps = hypervolume_trace(ours, trials, TOKENS, every)
    assert steps[-1].hypervolume == pytest.approx(ours.hypervolume)
    assert steps[-1].held_out.value == pytest.approx(ours.hypervolume, abs=0.1)
