import math
from typing import Any

import pytest
from optuna.trial import TrialState

from ama_ray.config import BASELINE_RATIOS
from ama_ray.tuning.searcher import ParetoSearcher

RANGES = {"embed": (0.0, 1.0), "layer-0.attention": (0.2, 0.8), "head": (0.0, 1.0)}


def suggest(searcher: ParetoSearcher, trial_id: str) -> dict[str, Any]:
    """Asks until there is an answer, as Tune does."""
    while (config := searcher.suggest(trial_id)) is None:
        pass
    return config


def finish(searcher: ParetoSearcher, count: int, start: int = 0) -> list[dict[str, float]]:
    vectors = []
    for index in range(start, start + count):
        config = suggest(searcher, str(index))
        ratios = config["ratios"]
        vectors.append(ratios)
        mean = sum(ratios.values()) / len(ratios)
        searcher.on_trial_complete(str(index), {"reward": mean, "tax": ratios["head"] ** 2})
    return vectors


def test_the_uniform_baseline_comes_first_and_is_told_apart() -> None:
    searcher = ParetoSearcher(RANGES, ("reward", "tax"), seed=0)
    configs = [suggest(searcher, str(index)) for index in range(len(BASELINE_RATIOS) + 2)]
    assert [config["number"] for config in configs] == list(range(len(configs)))
    baseline = configs[: len(BASELINE_RATIOS)]
    assert sorted(config["ratios"]["embed"] for config in baseline) == list(BASELINE_RATIOS)
    assert all(len(set(config["ratios"].values())) == 1 for config in baseline)
    assert [config["ratios"]["embed"] for config in baseline[:2]] == [0, 1]
    assert {config["origin"] for config in baseline} == {"baseline"}
    assert {config["origin"] for config in configs[len(BASELINE_RATIOS) :]} == {"sampler"}


def test_suggestions_stay_in_range_and_repeat_with_the_seed() -> None:
    first, again, other = (finish(ParetoSearcher(RANGES, ("reward", "tax"), seed), 16) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    for ratios in first[len(BASELINE_RATIOS) :]:
        assert list(ratios) == list(RANGES)
        assert all(low <= ratios[group] <= high for group, (low, high) in RANGES.items())


@pytest.mark.parametrize("result", [None, {}, {"reward": 1.0}, {"reward": math.nan, "tax": 0.1}])
def test_a_failed_trial_is_told_as_failed_and_the_search_goes_on(result: dict[str, float] | None) -> None:
    searcher = ParetoSearcher(RANGES, ("reward", "tax"), seed=0)
    finish(searcher, 12)
    suggest(searcher, "bad")
    searcher.on_trial_complete("bad", result, error=result is None)
    finish(searcher, 3, start=13)
    states = [trial.state for trial in searcher._ot_study.get_trials()]
    assert states.count(TrialState.FAIL) == 1
    assert states.count(TrialState.COMPLETE) == 15
    assert states.count(TrialState.RUNNING) == 0


def test_three_objectives_are_searched_too() -> None:
    searcher = ParetoSearcher(RANGES, ("helpful", "harmless", "tax"), seed=0)
    for index in range(14):
        ratios = suggest(searcher, str(index))["ratios"]
        result = {"helpful": ratios["embed"], "harmless": 1 - ratios["head"], "tax": ratios["embed"] ** 2}
        searcher.on_trial_complete(str(index), result)
    study = searcher._ot_study
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MAXIMIZE", "MINIMIZE"]
    assert all(len(trial.values) == 3 for trial in study.get_trials())
