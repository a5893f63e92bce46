"""Which points are scored again, against loops over all pairs of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ama_ray.analysis.candidates import candidates
from ama_ray.pareto.pareto_set import ParetoSet
from ama_ray.scores.constraints import Constraints
from ama_ray.scores.objectives import Objectives
from ama_ray.scores.terms import ProbeTerm, RewardTerm
from ama_ray.scores.trial import Trial
from tests.support.doubt import beaten_beyond_doubt, searched
from tests.support.paired_items import OBJECTIVES, SIZES, model
from tests.support.trials import scores

if TYPE_CHECKING:
    from tests.support.paired_items import Model


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 1000))
def test_candidates_are_what_no_other_beats_beyond_doubt(seed: int) -> None:
    draw = np.random.default_rng(seed)
    common = {name: draw.normal(size=size) for name, size in SIZES.items()}
    models = [model(draw, skill, common) for skill in draw.uniform(0, 1, 12)]
    trials = searched(models, baselines=3)
    found = candidates(ParetoSet(trials), OBJECTIVES, dict(enumerate(models)), most=100)
    expected = {t.number for t in trials[3:] if not beaten_beyond_doubt(t.number, trials, models)}
    assert len({trial.number for trial in found}) == len(found)
    assert {trial.number for trial in found} == expected
    fewer = candidates(ParetoSet(trials), OBJECTIVES, dict(enumerate(models)), most=3)
    assert len(fewer) == min(3, len(found))


def at(number: int, reward: float, tax: float, ratio: float | None = None) -> tuple[Trial, Model]:
    """A trial and items that differ from any other's by a constant: every difference is beyond doubt."""
    ratios = {"a": 0.1, "b": 0.3} if ratio is None else {"a": ratio, "b": ratio}
    made = Trial(number, "complete", "sampler" if ratio is None else "baseline", ratios, scores((reward, tax)))
    return made, {"reward": np.full((9, 1), reward), "qa": np.tile([tax, 1.0], (9, 1))}


# A divergence, whose items have no bounds, so that equal differences are certain.
PLAIN = Objectives((RewardTerm("reward", "reward", 1.0, 0),), (ProbeTerm("qa", "qa", "kl"),))


def test_the_front_comes_first_and_the_widest_part_of_it() -> None:
    front = [at(n, n / 10, (n / 10) ** 3) for n in range(1, 10)]
    crowd = [at(20 + n, 0.5 + n / 1000, 0.125 + n / 1000) for n in range(1, 9)]
    beaten = at(50, 0.2, 0.9)
    ends = [at(0, 0.0, 0.0, 0.0), at(99, 1.0, 1.0, 1.0)]
    made = [*ends, beaten, *crowd, *front]
    trials, items = [trial for trial, _ in made], {trial.number: items for trial, items in made}
    every = [trial.number for trial in candidates(ParetoSet(trials), PLAIN, items, most=30)]
    assert set(every) == {*range(1, 10), *range(21, 29)}
    few = [trial.number for trial in candidates(ParetoSet(trials), PLAIN, items, most=5)]
    # Of a crowd on one spot at most one, where others win more.
    assert len(few) == 5
    assert sum(number in (5, *range(21, 29)) for number in few) <= 1
    stopped = [Trial(60, "stopped", "sampler", {"a": 0.1, "b": 0.3}, scores((9.0, -9.0)))]
    assert [t.number for t in candidates(ParetoSet([*trials, *stopped]), PLAIN, items, most=30)] == every


def test_the_least_dominated_come_after_the_front() -> None:
    draw = np.random.default_rng(1)
    noise, ones = draw.normal(size=(4, 50, 1)), np.ones((50, 1))
    made = [at(0, 0.0, 0.0, 0.0), at(9, 1.0, 1.0, 1.0), at(1, 0.8, 0.1), at(2, 0.7, 0.11), at(3, 0.79, 0.11)]
    trials = [trial for trial, _ in made]
    # Differences of noise alone, of which the standard error is about 0.2.
    items = {
        t.number: {"reward": noise[i % 4], "qa": np.hstack([noise[(i + 1) % 4], ones])} for i, t in enumerate(trials)
    }
    assert [trial.number for trial in candidates(ParetoSet(trials), PLAIN, items, most=9)] == [1, 3, 2]
    assert [trial.number for trial in candidates(ParetoSet(trials), PLAIN, items, most=2)] == [1, 3]


def with_tax_error(made: Trial, tax: float, error: float) -> Trial:
    return replace(made, search=scores((made.reward, tax), (0.1, error)))


def test_constraints_leave_out_what_breaks_them_beyond_doubt() -> None:
    bound = Constraints.parse({"tax": "<= 0.2"}, PLAIN)
    ends = [at(0, 0.0, 0.0, 0.0), at(9, 1.0, 1.0, 1.0)]
    made = [at(1, 0.5, 0.1), at(2, 0.9, 0.21), at(3, 0.95, 0.3), at(4, 0.6, 0.19), at(5, 0.55, 0.195), at(6, 0.4, 0.15)]
    items = {trial.number: items for trial, items in [*ends, *made]}
    errors = {1: 0.001, 2: 0.02, 3: 0.02, 4: 0.02, 5: 0.001, 6: 0.001}
    trials = [trial for trial, _ in ends] + [with_tax_error(t, t.tax, errors[t.number]) for t, _ in made]
    found = [trial.number for trial in candidates(ParetoSet(trials, bound), PLAIN, items, most=9)]
    # The front is 1 and 4. The bound is broken by 2 within error and by 3 beyond doubt. What dominates 5 is 4, which
    # could break the bound itself; what dominates 6 is 1, which does not.
    assert found[:2] == [1, 4]
    assert set(found) == {1, 4, 2, 5}
    assert {t.number for t in candidates(ParetoSet(trials), PLAIN, items, most=9)} == {1, 2, 3, 4}


def test_candidates_of_nothing_are_none() -> None:
    assert candidates(ParetoSet([]), PLAIN, {}, most=5) == []
