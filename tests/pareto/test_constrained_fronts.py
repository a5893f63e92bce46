"""Fronts and hypervolumes under constraints and from a reference point, against brute force."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ama_ray.errors import UserError
from ama_ray.pareto.pareto_set import ParetoSet
from ama_ray.report.notes import conditions
from ama_ray.scores.trial import ProbeResult, Trial
from tests.support.constrained import FIELDS, config, constraints_of
from tests.support.objective_points import coordinate
from tests.support.trials import scores, trial

if TYPE_CHECKING:
    from ama_ray.config import RunConfig

    pass


def points() -> st.SearchStrategy[list[tuple[float, float, float]]]:
    return st.lists(st.tuples(coordinate, coordinate, coordinate), max_size=15)


def run_of(points: list[tuple[float, float, float]], run: RunConfig) -> ParetoSet:
    """Base, aligned, two uniform points, then points with reward, tax and the tax of a probe."""

    def made(number: int, reward: float, tax: float, probe: float, ratio: float | None) -> Trial:
        probes = {"arc": ProbeResult(0.5, 0.02, probe, 0.03)}
        return replace(trial(number, reward, tax, ratio), search=scores((reward, tax), probes=probes))

    uniform = [(0.0, 0.0, 0.0, 0.0), (4.0, 4.0, 4.0, 1.0), (1.0, 0.5, 2.0, 0.3), (2.5, 2.0, 1.0, 0.6)]
    trials = [made(number, *each) for number, each in enumerate(uniform)]
    between = [made(number, *at, None) for number, at in enumerate(points, start=4)]
    return ParetoSet([*trials, *between], constraints_of(run), run.reference)


def brute_front(trials: list[Trial]) -> set[tuple[float, float]]:
    at = {(t.reward, t.tax) for t in trials}
    return {(r, c) for r, c in at if not any(s >= r and d <= c and (s, d) != (r, c) for s, d in at)}


@given(points(), coordinate, coordinate, coordinate)
def test_a_front_is_filtered_before_it_is_made(
    at: list[tuple[float, float, float]], most: float, least: float, probe: float
) -> None:
    bounds = {"tax": f"<= {most!r}", "reward": f">= {least!r}", "probe.arc": f"<= {probe!r}"}
    pareto = run_of(at, config(constraints=bounds))

    def allowed(t: Trial) -> bool:
        margins = (most - t.tax, t.reward - least, probe - t.probes["arc"].tax)
        assume(all(margin >= 0 or margin < -1e-9 for margin in margins))
        return all(margin >= 0 for margin in margins)

    satisfying = [t for t in pareto.scored if allowed(t)]
    assert {(t.reward, t.tax) for t in pareto.front} == brute_front(satisfying)
    assert {(t.reward, t.tax) for t in pareto.uniform_front} == brute_front([t for t in satisfying if t.number < 4])
    assert {t.number for t in pareto.left_out} == {t.number for t in pareto.scored} - {t.number for t in satisfying}
    assert len(pareto.uniform) == 4
    assert (pareto.base.number, pareto.aligned.number) == (0, 1)
    assert pareto.hypervolume >= pareto.uniform_hypervolume - 1e-12
    unconstrained = run_of(at, config())
    assert pareto.hypervolume <= unconstrained.hypervolume + 1e-12
    assert bool(pareto.no_front) == (not satisfying)
    if satisfying:
        assert allowed(pareto.pick("knee"))
    else:
        assert pareto.hypervolume == 0
        with pytest.raises(UserError, match=r"No trial satisfies tax <= .*, so there is no front to pick from"):
            pareto.pick("knee")


@given(points(), st.floats(-2, 5), st.floats(-2, 5))
def test_hypervolume_counts_from_the_reference(at: list[tuple[float, float, float]], reward: float, tax: float) -> None:
    pareto = run_of(at, config(reference={"reward": reward, "tax": tax}))
    assert pareto.reference == {"reward": reward, "tax": tax}
    assert pareto.hypervolume == pytest.approx(brute_volume(list(pareto.scored), reward, tax), abs=1e-9)
    assert pareto.uniform_hypervolume == pytest.approx(brute_volume(list(pareto.uniform), reward, tax), abs=1e-9)
    one = run_of(at, config(reference={"tax": tax}))
    assert one.reference == {"reward": 0.0, "tax": tax}
    assert one.hypervolume == pytest.approx(brute_volume(list(one.scored), 0.0, tax), abs=1e-9)
    assert [t.number for t in pareto.front] == [t.number for t in run_of(at, config()).front]


def brute_volume(trials: list[Trial], reward: float, tax: float) -> float:
    """The area, on the grid of all coordinates, of the cells that a trial dominates; of 4 x 4 between the endpoints."""
    better = [(t.reward, t.tax) for t in trials if t.reward > reward and t.tax < tax]
    rewards = sorted({reward, *(r for r, _ in better)})
    taxes = sorted({tax, *(c for _, c in better)})
    area = 0.0
    for low, high in pairwise(rewards):
        for left, right in pairwise(taxes):
            if any(r >= high and c <= left for r, c in better):
                area += (high - low) * (right - left)
    return area / 16


def test_without_a_reference_hypervolume_counts_from_the_box() -> None:
    pareto = run_of([(3.0, 1.0, 0.0)], config())
    assert pareto.reference == {"reward": 0.0, "tax": 4.0}
    assert pareto.hypervolume == ParetoSet(pareto.trials).hypervolume


def test_the_nearest_trial_is_told_where_none_satisfies() -> None:
    run = config(constraints={"tax": "<= 1", "probe.arc": "<= 0.25", "reward": ">= 3"})
    pareto = run_of([(2.9, 0.5, 0.2), (3.5, 3.0, 0.1), (3.1, 1.0, 3.0)], run)
    assert pareto.front == ()
    # The rewards are 4 apart: 0.1 is less of that than 2 of the taxes.
    assert pareto.no_front == (
        "No trial satisfies tax <= 1 and probe.arc <= 0.25 and reward >= 3; the nearest is trial 4 (reward 2.9 ± 0.1, "
        "0.1 beyond the bound)"
    )


def test_each_split_decides_for_itself() -> None:
    trials = [
        trial(0, 0.0, 0.0, 0.0, report=(0.0, 0.0)),
        trial(1, 4.0, 4.0, 1.0, report=(4.0, 4.0)),
        trial(2, 3.0, 0.9, report=(3.0, 1.1)),
        trial(3, 2.0, 0.8, report=(2.0, 0.8)),
    ]
    bound = constraints_of(config(constraints={"tax": "<= 1"}))
    report, search = ParetoSet(trials, bound, split="report"), ParetoSet(trials, bound, split="search")
    assert [t.number for t in report.front] == [0, 3]
    assert [t.number for t in search.front] == [0, 3, 2]
    # What no longer satisfies the bound wins nothing.
    again = [t.seen_on("report") for t in search.front]
    assert report.hypervolume_of(again) == pytest.approx(report.hypervolume)
    assert search.hypervolume - report.hypervolume_of(again) > 0.1


def test_a_twin_is_neither_left_out_nor_counted() -> None:
    twin = Trial(9, "complete", "twin", {"a": 0.5, "b": 0.5}, None, scores((3.0, 2.0)))
    ends = [trial(0, 0.0, 0.0, 0.0, report=(0.0, 0.0)), trial(1, 4.0, 4.0, 1.0, report=(4.0, 4.0))]
    pareto = ParetoSet([*ends, twin], constraints_of(config(constraints={"tax": "<= 1"})), split="report")
    assert 9 in {t.number for t in pareto.scored}
    assert [t.number for t in pareto.left_out] == [1]
    assert conditions(pareto) == "Front: trials with tax <= 1; 1 of 2 left out."


def test_a_volume_of_three_objectives_from_a_reference_agrees_with_darts() -> None:
    rewards = [FIELDS["reward"] | {"name": name, "objective": name} for name in ("helpful", "harmless")]
    run = config(reward=rewards, reference={"harmless": 0.5, "tax": 3.0})
    draw = np.random.default_rng(0)
    names = ("helpful", "harmless", "tax")
    at = [(0.0, 0.0, 0.0), (4.0, 4.0, 4.0), *draw.uniform(0, 4, (10, 3)).tolist()]
    ratios = [0.0, 1.0, *[None] * 10]
    made = [trial(number, 0, 0, ratio) for number, ratio in enumerate(ratios)]
    pareto = ParetoSet(
        [replace(t, search=scores(v, names=names)) for t, v in zip(made, at, strict=True)], worst=run.reference
    )
    assert pareto.reference == {"helpful": 0.0, "harmless": 0.5, "tax": 3.0}
    darts, points = draw.uniform(0, 4, (200_000, 1, 3)), np.array(at)
    inside = (darts[..., 1] > 0.5) & (darts[..., 2] < 3.0)
    hit = (darts[..., :2] <= points[:, :2]).all(axis=2) & (darts[..., 2] >= points[:, 2])
    assert pareto.hypervolume == pytest.approx((hit.any(axis=1) & inside[:, 0]).mean(), abs=0.005)
