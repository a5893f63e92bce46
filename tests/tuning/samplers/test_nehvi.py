"""Our sampler on made-up pairs whose scores are known functions of the ratios."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import optuna
import pytest
import torch
from optuna.distributions import FloatDistribution

from ama_ray.pareto.hypervolume import hypervolume
from ama_ray.scores.constraints import Constraints
from ama_ray.scores.objectives import Objectives
from ama_ray.scores.terms import ProbeTerm, RewardTerm
from ama_ray.scores.trial import Estimate, ProbeResult, Scores
from ama_ray.tuning.samplers.nehvi import NehviSampler
from ama_ray.tuning.samplers.outcomes import Link, Outcomes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GROUPS = ("a", "b", "c", "d")
OBJECTIVES = Objectives(
    (RewardTerm("helpful", "reward", 1.0, 0),),
    (
        ProbeTerm("facts", "knowledge", "mean"),
        ProbeTerm("sums", "maths", "mean"),
        ProbeTerm("text", "maths", "perplexity"),
    ),
)
WEIGHTS = {"facts": 0.5, "sums": 0.25, "text": 0.25}


def scores(ratios: Mapping[str, float]) -> Scores:
    """The reward needs a and b; facts fall with a and c, sums with d, and text with c."""
    a, b, c, d = ratios.values()

    def falling(x: float) -> float:
        return 1 / (1 + math.exp(10 * (x - 0.6)))

    score = {"facts": falling((a + c) / 2), "sums": falling(d), "text": 5 + 3 * c * c}
    base = {"facts": falling(0), "sums": falling(0), "text": 5.0}
    tax = {name: (score[name] - base[name]) * (1 if name == "text" else -1) for name in score}
    reward = 4 / (1 + math.exp(-8 * ((a + b) / 2 - 0.4)))
    objectives = {"reward": Estimate(reward, 0.05), "tax": Estimate(sum(WEIGHTS[n] * tax[n] for n in tax), 0.01)}
    return Scores(objectives, {name: ProbeResult(score[name], 0.01, tax[name], 0.01) for name in score})


def values(each: Scores) -> list[float]:
    return [estimate.value for estimate in each.objectives.values()]


BASE, ALIGNED = (scores(dict.fromkeys(GROUPS, ratio)) for ratio in (0.0, 1.0))


class Search:
    """Asks and tells, several trials at a time."""

    def __init__(self, seed: int = 0, constraints: Constraints | None = None) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.sampler = NehviSampler(OBJECTIVES, seed, constraints)
        self.sampler.tell_ends(BASE, ALIGNED)
        self.study = optuna.create_study(directions=["maximize", "minimize"], sampler=self.sampler)
        self.scores: list[Scores] = []
        self.ratios: list[dict[str, float]] = []
        for ratio in (0.0, 1.0, 0.5):
            self.study.enqueue_trial(dict.fromkeys(GROUPS, ratio))

    def ask(self) -> optuna.Trial:
        return self.study.ask({group: FloatDistribution(0, 1) for group in GROUPS})

    def tell(self, trial: optuna.Trial) -> None:
        each = scores(trial.params)
        self.sampler.tell(trial.number, each)
        self.study.tell(trial, values(each))
        self.scores.append(each)
        self.ratios.append(dict(trial.params))

    def run(self, trials: int) -> Search:
        for _ in range(trials):
            self.tell(self.ask())
        return self

    @property
    def volume(self) -> float:
        return hypervolume([values(each) for each in self.scores], values(BASE), values(ALIGNED))


@pytest.fixture(scope="module")
def free() -> list[Search]:
    """Searches without constraints, of fifteen trials and of thirteen."""
    return [Search(0).run(15), Search(1).run(13)]


def random_volume(seed: int, trials: int) -> float:
    draws = np.random.default_rng(seed).random((trials, len(GROUPS)))
    points = [values(scores(dict(zip(GROUPS, draw, strict=True)))) for draw in draws]
    return hypervolume(points, values(BASE), values(ALIGNED))


@pytest.mark.long
def test_it_finds_in_fifteen_trials_more_than_chance_does_in_four_hundred(free: list[Search]) -> None:
    assert free[0].volume > random_volume(0, 400)


@pytest.mark.long
def test_the_same_seed_makes_the_same_choices_and_leaves_the_generator_of_the_process_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    first, again, other = (Search(seed).run(5).ratios for seed in (0, 0, 1))
    assert torch.equal(torch.rand(2), expected)
    assert first == again != other
    assert all(0 <= ratio <= 1 for ratios in first for ratio in ratios.values())


@pytest.mark.long
def test_trials_that_are_still_running_are_not_chosen_again() -> None:
    search = Search().run(6)
    running = [list(search.ask().params.values()) for _ in range(3)]
    apart = [math.dist(x, y) for i, x in enumerate(running) for y in running[:i]]
    assert min(apart) > 0.02


@pytest.mark.long
def test_a_bound_on_a_probe_steers_the_search(free: list[Search]) -> None:
    def share(searches: list[Search]) -> float:
        found = [each for search in searches for each in search.scores[3:13]]
        return float(np.mean([each.probes["facts"].tax <= 0.02 for each in found]))

    bound = Constraints({"probe.facts": ("<=", 0.02)})
    steered = share([Search(seed, bound).run(13) for seed in (0, 1)])
    assert steered >= 0.6
    assert steered > share(free) + 0.2


@pytest.mark.long
def test_where_nothing_can_be_won_it_looks_elsewhere_rather_than_again() -> None:
    search = Search(constraints=Constraints({"reward": (">=", 40.0)})).run(8)
    points = [list(ratios.values()) for ratios in search.ratios[3:]]
    apart = [math.dist(x, y) for i, x in enumerate(points) for y in points[:i]]
    assert min(apart) > 1e-3


def test_a_group_that_hardly_moved_is_hardly_looked_into() -> None:
    sampler = NehviSampler(OBJECTIVES, 0, moved={"a": 4.0, "b": 1.0, "c": 0.0})
    assert sampler._weights(["a", "b", "c"]).tolist() == pytest.approx([1.0, 0.5, 0.05])
    assert sampler._weights(["share-0", "share-1"]).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("name", ["tax", "reward", "probe.sums", "family.maths"])
def test_bounds_are_on_what_they_name(name: str) -> None:
    constraints = Constraints({name: ("<=", 0.1)}, {"maths": ("sums", "text")})
    each = [scores(dict.fromkeys(GROUPS, ratio)) for ratio in (0.0, 0.3, 1.0)]
    outcomes = Outcomes(each, OBJECTIVES)
    ours = outcomes.excess(name, outcomes.modelled, constraints)
    assert ours.tolist() == pytest.approx([constraints.violations(one)[name] for one in each])


def test_objectives_are_recovered_from_what_the_models_see() -> None:
    each = [scores(dict.fromkeys(GROUPS, ratio)) for ratio in (0.0, 0.3, 0.7, 1.0)]
    outcomes = Outcomes(each, OBJECTIVES)
    expected = torch.tensor([[reward, -tax] for reward, tax in map(values, each)], dtype=torch.double)
    assert torch.allclose(outcomes.objectives, expected)
    assert torch.isfinite(outcomes.modelled).all()


def test_an_estimate_beyond_the_bounds_of_a_score_is_taken_for_the_bound() -> None:
    link = Link(-0.005, 1.005)
    seen = link(torch.tensor([-0.2, 0.0, 0.5, 1.0, 1.3], dtype=torch.double))
    assert torch.isfinite(seen).all()
    assert (seen.diff() > 0).all()


@pytest.mark.parametrize("bounds", [(), (-0.005, 1.005), (-3.0, 7.5)])
def test_a_link_and_its_inverse(bounds: Sequence[float]) -> None:
    link = Link(*bounds)
    shares = torch.linspace(0.01, 0.99, 7, dtype=torch.double)
    low, high = bounds or (0.0, 50.0)
    x = low + shares * (high - low)
    assert torch.allclose(link.inverse(link(x)), x)
    assert (link(x).diff() > 0).all()
