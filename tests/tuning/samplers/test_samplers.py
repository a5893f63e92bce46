from __future__ import annotations

import sys
import warnings
from pkgutil import resolve_name
from types import ModuleType
from typing import TYPE_CHECKING

import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution

from ama_ray.config.search import SAMPLERS
from ama_ray.errors import UserError
from ama_ray.scores.objectives import Objectives
from ama_ray.scores.terms import ProbeTerm, RewardTerm
from ama_ray.tuning import samplers
from ama_ray.tuning.samplers import SamplerContext
from ama_ray.tuning.samplers.auto import choose

if TYPE_CHECKING:
    from collections.abc import Sequence

GP = pytest.param("gp", marks=pytest.mark.long)
"""Its models take seconds."""
RANGES = {"a": (0.0, 1.0), "b": (0.0, 0.4), "c": (0.0, 1.0)}


def of_rewards(count: int) -> Objectives:
    rewards = tuple(RewardTerm(f"reward-{i}", f"reward-{i}", 1.0, 0) for i in range(count))
    return Objectives(rewards, (ProbeTerm("facts", "f", "mean"),))


def setting(
    ranges: int | dict[str, tuple[float, float]] = RANGES, objectives: int = 2, trials: int = 40, parallel: int = 2
) -> SamplerContext:
    if isinstance(ranges, int):
        ranges = {f"g{i}": (0.0, 1.0) for i in range(ranges)}
    return SamplerContext(ranges, of_rewards(objectives - 1), trials, parallel, first=11, seed=0)


def searched(sampler: optuna.samplers.BaseSampler, first: Sequence[float], trials: int) -> optuna.Study:
    """A search for which both objectives know where to look: uniform points first, then the sampler's."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    space: dict[str, BaseDistribution] = {name: FloatDistribution(*limits) for name, limits in RANGES.items()}
    for number in range(trials):
        if number < len(first):
            study.enqueue_trial(dict.fromkeys(RANGES, first[number]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trial = study.ask(space)
        a, b, c = trial.params.values()
        study.tell(trial, [a + b - 2 * (a - c) ** 2, a**2])
    return study


@pytest.mark.parametrize("name", [GP, *(name for name in SAMPLERS if name not in ("gp", "nehvi"))])
@pytest.mark.parametrize("narrow", [False, True])
def test_every_name_searches_within_the_ranges_after_points_outside_them(name: str, narrow: bool) -> None:
    sampler, chosen = samplers.make(name, setting())
    assert chosen == name
    # Where the ranges are narrow, most uniform points are outside them, as those of `b` here.
    first = [i / 10 for i in range(11)] if narrow else [i / 25 for i in range(11)]
    study = searched(sampler, first, 15 if name == "gp" else 26)
    for trial in study.trials[11:]:
        assert all(low <= trial.params[name] <= high for name, (low, high) in RANGES.items())


@pytest.mark.parametrize("name", [GP, "tpe", "random", "nsga2"])
def test_the_seed_decides(name: str) -> None:
    def params(seed: int) -> list[dict[str, float]]:
        sampler, _ = samplers.make(name, SamplerContext(RANGES, of_rewards(1), 40, 1, 11, seed))
        return [trial.params for trial in searched(sampler, [i / 10 for i in range(11)], 14).trials]

    assert params(3) == params(3)
    assert params(3) != params(4)


@pytest.mark.parametrize("name", ["nsga2", "nsga3"])
def test_first_points_are_parents_and_those_out_of_range_are_not(name: str) -> None:
    sampler, _ = samplers.make(name, setting())
    study = searched(sampler, [i / 20 for i in range(11)], 20)
    generations = [
        next((value for key, value in trial.system_attrs.items() if key.endswith(":generation")), None)
        for trial in study.trials
    ]
    # Nine of the eleven are in range of `b`; a population of ten wants one more.
    assert generations[:11] == [0] * 9 + [None] * 2
    assert generations[11:13] == [0, 1]
    in_first = {params for trial in study.trials[:12] for params in trial.params.items()}
    # Children have most of their ratios from it, and a third by mutation.
    inherited = [item in in_first for trial in study.trials[12:] for item in trial.params.items()]
    assert sum(inherited) >= len(inherited) / 2


def test_chance_ends_with_the_first_points() -> None:
    assert setting(parallel=1).startup == 10
    assert setting(parallel=8).startup == 5
    sampler, _ = samplers.make("gp", setting(parallel=1))
    study = searched(sampler, [i / 10 for i in range(11)], 12)
    # Only a model leaves word of what it chose.
    assert any(key.startswith("gp:relative_params") for key in study.trials[-1].system_attrs)


def test_auto_takes_a_gaussian_process_for_what_is_small_and_says_why() -> None:
    assert choose(setting(8))[0] == "nehvi"
    assert choose(setting(40, 2, 300, 16))[0] == "nehvi"
    assert choose(setting(40, 3, 100, 16))[0] == "nehvi"
    assert choose(setting(40, 3, 101, 16))[0] == "tpe"
    for beyond, word in (
        (setting(41), "more than 40 ratios"),
        (setting(8, objectives=4), "more than 3 objectives"),
        (setting(8, trials=301), "more than 300 trials"),
        (setting(8, parallel=17), "more than 16 in parallel"),
    ):
        name, why = choose(beyond)
        assert name == "tpe"
        assert word in why
    assert choose(setting(8))[1].startswith("8 ratios to choose, 2 objectives, 40 trials, 2 in parallel: ")
    sampler, chosen = samplers.make("auto", setting(41))
    assert isinstance(sampler, optuna.samplers.TPESampler)
    assert chosen.startswith("tpe (auto: 41 ratios to choose, ")


def test_a_dotted_path_is_made_with_the_seed() -> None:
    sampler, chosen = samplers.make("optuna.samplers.QMCSampler", setting())
    assert isinstance(sampler, optuna.samplers.QMCSampler)
    assert sampler._seed == 0
    assert chosen == "optuna.samplers.QMCSampler"
    # It has not seen the study on which its twin was tried out.
    assert len(searched(sampler, [0.1], 4).trials) == 4


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("optuna.samplers.CmaEsSampler", "cannot search 2 objectives .*multi-objective optimization, CmaEsSampler"),
        ("optuna.samplers.GridSampler", "cannot be made with a seed alone .*search_space"),
        ("optuna.samplers.Nothing", "cannot be imported .*Nothing"),
        ("no_such_package.Sampler", "cannot be imported .*no_such_package"),
        ("optuna.samplers.nsgaii", "not a subclass of optuna.samplers.BaseSampler"),
        ("optuna.study.Study", "not a subclass of optuna.samplers.BaseSampler"),
    ],
)
def test_a_sampler_that_cannot_do_it_is_refused_in_one_sentence(path: str, reason: str) -> None:
    for refuse in (lambda: samplers.check(path, 2), lambda: samplers.make(path, setting())):
        with pytest.raises(UserError, match=f"^sampler: {path} .*{reason}") as caught:
            refuse()
        assert "\n" not in str(caught.value)


def test_a_sampler_of_ones_own_needs_no_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine(optuna.samplers.RandomSampler):
        def __init__(self) -> None:
            super().__init__(seed=5)

    module = ModuleType("my_samplers")
    module.Mine = Mine  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "my_samplers", module)
    assert isinstance(samplers.make("my_samplers.Mine", setting())[0], Mine)


def test_every_name_has_a_maker() -> None:
    for name, address in SAMPLERS.items():
        assert callable(resolve_name(address))
        samplers.check(name, 2)
    samplers.check("auto", 2)
