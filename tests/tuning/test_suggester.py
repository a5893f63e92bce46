"""Suggestions of a study, and what it is told of their trials."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import optuna
import pytest
from optuna.trial import TrialState

from ama_ray.config import BASELINE_RATIOS
from ama_ray.scores.constraints import Constraints
from ama_ray.space.parametrization import parametrization
from ama_ray.tuning.suggester import StudySuggester
from ama_ray.tuning.warm_start import FirstPoint
from tests.support.suggestions import RANGES, finish, objectives, result, searcher, study, suggest

if TYPE_CHECKING:
    from ama_ray.scores.trial import Scores


def test_first_points_come_first_and_are_told_apart() -> None:
    warm = {"embed": 0.5, "layer-0.attention": 0.6, "head": 0.9}
    asked = searcher(warm=[warm])
    specs = [suggest(asked) for _ in range(len(BASELINE_RATIOS) + 3)]
    assert [spec.number for spec in specs] == list(range(len(specs)))
    baseline, others = specs[: len(BASELINE_RATIOS)], specs[len(BASELINE_RATIOS) :]
    # Whole, although one range is narrower.
    assert [set(spec.ratios.values()) for spec in baseline] == [{ratio} for ratio in BASELINE_RATIOS]
    assert {spec.origin for spec in baseline} == {"baseline"}
    assert (others[0].origin, others[0].ratios) == ("warm start", warm)
    assert {spec.origin for spec in others[1:]} == {"sampler"}


@pytest.mark.long
def test_suggestions_stay_in_range_and_repeat_with_the_seed() -> None:
    first, again, other = (finish(searcher(seed), 14) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    for ratios in first[len(BASELINE_RATIOS) :]:
        assert list(ratios) == list(RANGES)
        assert all(low <= ratios[group] <= high for group, (low, high) in RANGES.items())


@pytest.mark.long
@pytest.mark.parametrize("told", [None, result(reward=1.0, tax=math.nan), result(reward=math.inf)])
def test_a_failed_trial_is_told_as_failed_and_the_search_goes_on(told: Scores | None) -> None:
    asked = searcher()
    finish(asked, 12)
    asked.tell(suggest(asked), told)
    finish(asked, 1)
    states = [trial.state for trial in asked._study.get_trials()]
    assert states.count(TrialState.FAIL) == 1
    assert states.count(TrialState.COMPLETE) == 13
    assert states.count(TrialState.RUNNING) == 0


@pytest.mark.long
def test_three_objectives_are_searched_too() -> None:
    asked = searcher(0, "helpful", "harmless")
    for _ in range(13):
        spec = suggest(asked)
        ratios = spec.ratios
        asked.tell(spec, result(helpful=ratios["embed"], harmless=1 - ratios["head"], tax=ratios["embed"] ** 2))
    study = asked._study
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MAXIMIZE", "MINIMIZE"]
    assert all(len(trial.values) == 3 for trial in study.get_trials())


def test_violations_are_told() -> None:
    bounds = Constraints({"tax": ("<=", 0.15), "probe.f": ("<=", 0.05)})
    asked = searcher(constraints=bounds)
    for tax in (0.1, 0.3):
        asked.tell(suggest(asked), result(reward=1.0, tax=tax))
    told = [trial.constraints for trial in asked._study.get_trials()]
    assert told[0] == pytest.approx({"tax": -0.05, "probe.f": 0.05})
    assert told[1] == pytest.approx({"tax": 0.15, "probe.f": 0.25})
    finish(asked, 12)  # the Gaussian process wants as many constraints of every trial


class Listening(optuna.samplers.RandomSampler):
    def __init__(self) -> None:
        super().__init__(seed=0)
        self.told: dict[int, Scores] = {}
        self.ends: list[tuple[Scores, Scores]] = []

    def tell(self, number: int, scores: Scores) -> None:
        self.told[number] = scores

    def tell_ends(self, base: Scores, aligned: Scores) -> None:
        self.ends.append((base, aligned))


def test_a_listener_hears_of_every_trial_of_the_study_and_of_both_ends() -> None:
    shape, sampler = parametrization(RANGES, 0.5), Listening()
    first = [FirstPoint("baseline", dict.fromkeys(RANGES, ratio)) for ratio in (0.0, 1.0, 0.5)]
    asked = StudySuggester(shape, objectives("reward"), study(sampler), first)
    told = [result(reward=float(i)) for i in range(6)]
    specs = [suggest(asked) for _ in range(6)]
    for index in (1, 0, 2, 3, 4, 5):  # aligned is done before base
        asked.tell(specs[index], told[index])
    assert sampler.ends == [(told[0], told[1])]
    # By number in the study, which base and aligned are not in.
    assert sampler.told == {index - 2: told[index] for index in range(2, 6)}


@pytest.mark.parametrize("name", ["gp", "tpe", "nsga2", "random"])
def test_with_a_mean_the_sampler_stays_on_the_slice_and_the_baseline_is_scored_all_the_same(name: str) -> None:
    asked = searcher(name=name, mean_ratio=0.7)
    vectors = finish(asked, 22)
    assert [set(vector.values()) for vector in vectors[:11]] == [{ratio} for ratio in BASELINE_RATIOS]
    for ratios in vectors[11:]:
        assert math.fsum(ratios.values()) / 3 == pytest.approx(0.7, abs=1e-12)
        assert all(low <= ratios[group] <= high for group, (low, high) in RANGES.items())
    assert len({tuple(ratios.values()) for ratios in vectors[11:]}) > 5
    # One uniform point has that mean.
    trials = asked._study.get_trials()
    assert len(trials) == 12
    assert trials[0].values == pytest.approx([0.7, 0.49])
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}


def test_the_sampler_chooses_knots_and_trials_have_the_ratios_of_all_groups() -> None:
    groups = ["embed", *(f"layer-{i}" for i in range(5)), "head"]
    knots = {f"layer-{i}": {"@0": 1 - i / 4, "@1": i / 4} for i in range(5)}
    shape, sampler = parametrization(dict.fromkeys(groups, (0.0, 1.0)), None, knots), optuna.samplers.RandomSampler(0)
    uneven = {"embed": 0.5, "layer-0": 0.0, **dict.fromkeys(groups[2:], 1.0)}
    first = [FirstPoint("baseline", dict.fromkeys(groups, 0.5)), FirstPoint("warm start", uneven)]
    asked = StudySuggester(shape, objectives("reward"), study(sampler), first)
    vectors = finish(asked, 5)
    assert vectors[:2] == [point.ratios for point in first]
    for ratios in vectors[2:]:
        assert list(ratios) == groups
        steps = [ratios[f"layer-{i + 1}"] - ratios[f"layer-{i}"] for i in range(4)]
        assert steps == pytest.approx([steps[0]] * 4)
    # The study hears of the uniform point, and not of the one that no line goes through.
    params = [trial.params for trial in asked._study.get_trials()]
    assert params[0] == pytest.approx({"embed": 0.5, "@0": 0.5, "@1": 0.5, "head": 0.5})
    assert len(params) == 4
