"""What a budget allows: of tokens by what trials ask, of hours by a clock that the tests wind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from ray.tune.search import Searcher

from ama_ray.config import BASELINE_RATIOS, FIRST_RATIOS, Budget, RunConfig
from ama_ray.errors import UserError
from ama_ray.evaluation import work
from ama_ray.evaluation.inputs import Inputs
from ama_ray.miniature import ROOT
from ama_ray.tuning.budget import Costs, Spending
from tests.support.scheduled_run import POINTS, REPORT_COST, SEARCH_COST, TRADE_COST, TRIALS, Run, run_to_the_end

if TYPE_CHECKING:
    from pathlib import Path

COSTS = Costs(SEARCH_COST, REPORT_COST, TRADE_COST)
BASE = COSTS.base
UNIFORM_AND_TWIN = (len(BASELINE_RATIOS) + 1) * REPORT_COST
LEAST = BASE + 2 * TRADE_COST + (len(FIRST_RATIOS) - 2) * SEARCH_COST + UNIFORM_AND_TWIN


def cost(config: dict[str, Any]) -> int:
    if config["split"] == "report":
        return REPORT_COST
    is_end = config["origin"] == "baseline" and set(config["ratios"].values()) in ({0.0}, {1.0})
    return TRADE_COST if is_end else SEARCH_COST


def spent(run: Run) -> int:
    """By counting what was handed out."""
    return BASE + sum(map(cost, run.asked))


def chosen(run: Run) -> int:
    return sum(c["split"] == "report" and c["origin"] == "sampler" for c in run.asked)


def searched(run: Run) -> int:
    return sum(config["split"] == "search" for config in run.asked)


@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize("extra", [0, 1, 2, 5, 8, 40])
def test_tokens_are_never_more_than_the_budget_and_nearly_all_of_it(tmp_path: Path, extra: int, slots: int) -> None:
    budget = LEAST + extra * SEARCH_COST + POINTS * REPORT_COST
    run = Run(tmp_path, slots=slots, budget={"tokens": budget})
    run_to_the_end(run)
    assert spent(run) <= budget
    assert searched(run) == min(TRIALS, len(FIRST_RATIOS) + extra) or spent(run) > budget - SEARCH_COST - REPORT_COST
    uniform = [c for c in run.asked if c["split"] == "report" and c["origin"] == "baseline"]
    assert len(uniform) == len(BASELINE_RATIOS)
    assert bool(run.searcher.ended) is (searched(run) < TRIALS)
    ended = run.recorder.run.with_trials(run.recorder.run.trials, ended=True)
    assert ended.pareto.split == ("report" if chosen(run) else "search")
    if run.searcher.ended:
        # The same command finds nothing to do, and with a larger budget something.
        assert not Spending(Budget(tokens=budget), COSTS).allows_search(ended, {})
        assert Spending(Budget(tokens=2 * budget), COSTS).allows_search(ended, {})


def test_without_room_for_more_a_run_scores_what_every_run_does(tmp_path: Path) -> None:
    run = Run(tmp_path, budget={"tokens": LEAST})
    run_to_the_end(run)
    assert searched(run) == len(FIRST_RATIOS)
    assert spent(run) <= LEAST
    assert "leaves" not in "".join(run.said)
    assert run.searcher.ended == f"what is left of the budget of {LEAST:,} tokens is for the report"


def test_what_the_budget_leaves_unreported_is_told(tmp_path: Path) -> None:
    run = Run(tmp_path, budget={"hours": 1})
    while (config := run.next()) != Searcher.FINISHED:
        # The machine is slow all of a sudden, once a point of the search was scored again.
        run.now += 7200 if config["origin"] == "sampler" and config["split"] == "report" else 1
        run.finish(len(run.asked) - 1)
    assert searched(run) == TRIALS
    assert chosen(run) == 1
    assert run.said[-1] == f"the budget of 1 hours leaves {POINTS - 1} points of the search unreported"
    # As many as were to be are known once it has ended.
    assert run.recorder.run.pareto.split == "search"
    assert run.recorder.run.with_trials(run.recorder.run.trials, ended=True).pareto.split == "report"
    uniform = [c for c in run.asked if c["split"] == "report" and c["origin"] == "baseline"]
    assert len(uniform) == len(BASELINE_RATIOS)


def test_a_run_that_was_killed_has_spent_what_it_had(tmp_path: Path) -> None:
    budget = LEAST + 6 * SEARCH_COST + POINTS * REPORT_COST
    killed = Run(tmp_path, budget={"tokens": budget})
    for position in range(6):
        killed.next()
        killed.finish(position)
    again = Run(tmp_path, resumed=True, budget={"tokens": budget})
    run_to_the_end(again)
    assert spent(again) + spent(killed) - BASE <= budget
    assert searched(again) + 6 <= len(FIRST_RATIOS) + 6


@pytest.mark.parametrize("seconds_of_a_token", [0.01, 0.1])
def test_hours_end_a_search_so_that_its_report_ends_in_time(tmp_path: Path, seconds_of_a_token: float) -> None:
    run = Run(tmp_path, trials=60, budget={"hours": 0.25})
    while (config := run.next()) != Searcher.FINISHED:
        run.now += seconds_of_a_token * cost(config)
        run.finish(len(run.asked) - 1)
    every = seconds_of_a_token * (LEAST + 57 * SEARCH_COST + POINTS * REPORT_COST)
    assert (searched(run) < 60) is (every > 900)
    assert run.now <= max(900, seconds_of_a_token * LEAST)
    if every > 900:
        assert run.now > 900 - seconds_of_a_token * 2 * BASE
        assert run.searcher.ended == "what is left of the budget of 0.25 hours is for the report"


def test_a_budget_too_small_for_any_run_is_refused() -> None:
    inputs = Inputs.open(RunConfig.load(ROOT / "run.yaml"))
    costs = Costs.of(inputs.config, inputs.evaluations)
    assert costs.trade == costs.search  # trials of the search see all of so few items
    evaluation = inputs.evaluations["search"]
    tokens, counts = work.tokens_of_items(evaluation), work.sizes(evaluation)
    assert costs.search == pytest.approx(sum(tokens[name] * counts[name] for name in counts))
    # Twice the items, and of the prompts twice the replies of 28 tokens.
    assert costs.report == pytest.approx(2 * costs.search + 256 * 2 * 28, rel=0.01)
    assert costs.least == 4 * costs.search + 13 * costs.report
    for budget in (None, {"tokens": costs.least}, {"hours": 0.001}):
        Spending.of(RunConfig.load(ROOT / "run.yaml", budget=budget), inputs.evaluations)
    few = costs.least - 1
    with pytest.raises(UserError, match=rf"^budget.tokens: {few:,} are too few, .* take {costs.least:,};"):
        Spending.of(RunConfig.load(ROOT / "run.yaml", budget={"tokens": few}), inputs.evaluations)


@pytest.mark.parametrize(
    ("budget", "why"),
    [
        ({}, "give `tokens`, `hours` or both"),
        ({"tokens": 0}, "at least 1"),
        ({"hours": 0}, "above 0"),
        ({"hours": 1, "trials": 3}, "there is no such field"),
    ],
)
def test_a_budget_that_says_nothing_is_refused(budget: dict[str, Any], why: str) -> None:
    with pytest.raises(UserError, match=why):
        RunConfig.load(ROOT / "run.yaml", budget=budget)
