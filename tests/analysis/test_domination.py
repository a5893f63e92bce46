"""Which uniform points nothing beats beyond doubt, against a loop over all pairs of trials."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ama_ray.analysis.domination import undecided
from ama_ray.pareto.pareto_set import ParetoSet
from tests.support.doubt import beaten_beyond_doubt, searched
from tests.support.paired_items import OBJECTIVES, SIZES, model

UNIFORM = 6


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 1000))
def test_undecided_are_the_uniform_points_that_nothing_beats_beyond_doubt(seed: int) -> None:
    draw = np.random.default_rng(seed)
    common = {name: draw.normal(size=size) for name, size in SIZES.items()}
    models = [model(draw, skill, common) for skill in draw.uniform(0, 1, 12)]
    trials = searched(models, baselines=UNIFORM)
    pareto, items = ParetoSet(trials), dict(enumerate(models))
    expected = {n for n in range(UNIFORM) if not beaten_beyond_doubt(n, trials, models)}
    assert undecided(pareto, OBJECTIVES, items) == expected
    front = pareto.with_undecided(expected).front
    assert {t.number for t in front} == {t.number for t in pareto.front} | expected


def test_a_twin_beats_nothing() -> None:
    draw = np.random.default_rng(3)
    common = {name: draw.normal(size=size) for name, size in SIZES.items()}
    # The last one is better than all others by far.
    models = [model(draw, skill, common) for skill in (0.0, 0.0, 0.1, 3.0)]
    trials, items = searched(models, baselines=3), dict(enumerate(models))
    assert undecided(ParetoSet(trials), OBJECTIVES, items) == set()
    twin = replace(trials[-1], origin="twin")
    assert undecided(ParetoSet([*trials[:-1], twin]), OBJECTIVES, items) == {0, 1, 2}


def test_of_no_trials_none_is_undecided() -> None:
    assert undecided(ParetoSet([]), OBJECTIVES, {}) == set()
