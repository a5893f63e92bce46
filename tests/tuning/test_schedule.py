"""The order in which a run's trials are handed out, with a recorder that is told made-up results."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ray.tune.search import Searcher

from ama_ray.config import BASELINE_RATIOS, FIRST_RATIOS, RunConfig
from ama_ray.miniature import ROOT
from ama_ray.objectives import Objectives, ProbeTerm, RewardTerm
from ama_ray.parametrisation import Box
from ama_ray.tuning import samplers
from ama_ray.tuning.recorder import Recorder
from ama_ray.tuning.samplers import Setting
from ama_ray.tuning.schedule import Schedule
from ama_ray.tuning.searcher import ParetoSearcher
from ama_ray.tuning.warm_start import Point
from tests.tuning.test_recorder import TuneTrial

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.objectives import Items

OBJECTIVES = Objectives((RewardTerm("reward", "reward", 1.0, "p"),), (ProbeTerm("facts", "f", "mean"),))
RANGES = {"a": (0.0, 1.0), "b": (0.0, 1.0)}
TRIALS, POINTS = 15, 3


def model(ratios: dict[str, float]) -> Items:
    """The reward grows with both ratios; only the first costs facts."""
    rng = np.random.default_rng(0)
    return {
        "reward": (sum(ratios.values()) + 0.01 * rng.normal(size=50))[:, None],
        "facts": (rng.random(50) > ratios["a"]).astype(float)[:, None],
    }


class Run:
    """Asks a schedule, as Tune does, and answers for the engine."""

    def __init__(self, folder: Path, slots: int = 1, trials: int = TRIALS) -> None:
        fields = {"trials": trials, "report": {"points": POINTS}, "out": folder}
        inputs: Any = SimpleNamespace(
            config=RunConfig.load(ROOT / "run.yaml", **fields), groups=SimpleNamespace(names=tuple(RANGES))
        )
        self.recorder = Recorder(folder, lambda trial: None)
        first = [Point("baseline", dict.fromkeys(RANGES, ratio)) for ratio in FIRST_RATIOS]
        sampler, _ = samplers.make("gp", Setting(RANGES, OBJECTIVES, trials, 1, len(first), seed=0))
        searcher = ParetoSearcher(Box(RANGES), OBJECTIVES, sampler, first)
        self.schedule = Schedule(inputs, OBJECTIVES, searcher, self.recorder, slots)
        self.asked: list[dict[str, Any]] = []

    def next(self, patience: int = 200) -> Any:
        """The next suggestion; None where none comes however often Tune asks."""
        for _ in range(patience):
            if (config := self.schedule.suggest(str(len(self.asked)))) is not None:
                if isinstance(config, dict):
                    self.asked.append(config)
                return config
        return None

    def finish(self, position: int, error: bool = False) -> None:
        config = self.asked[position]
        items = model(config["ratios"])
        scores = OBJECTIVES.scores(items, model(dict.fromkeys(RANGES, 0.0)))
        values = {name: estimate.value for name, estimate in scores.objectives.items()}
        result = {"engine": "e", "engine_seconds": 1.0, "items": items, "scores": scores, "share": 1.0}
        result |= {"tokens": {}, "seconds": {}, **values}
        self.schedule.on_trial_complete(str(position), None if error else result, error)
        if error:
            self.recorder.on_trial_error(0, [], TuneTrial(config, error=RuntimeError("no")))
        else:
            self.recorder.on_trial_complete(0, [], TuneTrial(config, result))


def run_to_the_end(run: Run, lost: int | None = None) -> None:
    while (config := run.next()) != Searcher.FINISHED:
        assert config is not None
        run.finish(len(run.asked) - 1, error=config["number"] == lost)


def test_the_search_comes_first_then_the_points_to_score_again_and_last_the_twin_of_the_knee(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run_to_the_end(run)
    searched = [i for i, config in enumerate(run.asked) if config["split"] == "search"]
    assert [run.asked[i]["number"] for i in searched] == list(range(TRIALS))
    again = [config for config in run.asked if config["split"] == "report"]
    uniform = [config["number"] for config in again if config["origin"] == "baseline"]
    # Those that the search did not start from are numbered after it.
    others = len(BASELINE_RATIOS) - len(FIRST_RATIOS)
    assert sorted(uniform) == [*range(len(FIRST_RATIOS)), *range(TRIALS, TRIALS + others)]
    chosen = [i for i, c in enumerate(run.asked) if c["split"] == "report" and c["origin"] == "sampler"]
    assert 0 < len(chosen) <= POINTS
    assert min(chosen) > max(searched)
    twin = run.asked[-1]
    assert (twin["origin"], twin["number"], len(set(twin["ratios"].values()))) == ("twin", TRIALS + others, 1)
    assert run.recorder.trials[-1].report is not None


def test_an_idle_engine_gets_a_uniform_point_while_the_sampler_thinks(tmp_path: Path) -> None:
    run = Run(tmp_path, slots=2)
    for position in range(len(FIRST_RATIOS)):
        assert run.next()["split"] == "search"
        run.finish(position)
    sampler: Any = run.schedule._searcher
    thinking = sampler.suggest
    sampler.suggest = lambda trial_id, wait=0.0: None if wait is not None else thinking(trial_id, None)
    first = [run.schedule.suggest(str(100 + i)) for i in range(2)]
    assert [(config["split"], config["origin"]) for config in first if isinstance(config, dict)] == [
        ("report", "baseline")
    ] * 2
    # Both engines are at work, so Tune may ask again.
    assert run.schedule.suggest("102") is None


def test_no_engine_waits_for_the_last_trials_of_the_search(tmp_path: Path) -> None:
    run = Run(tmp_path, slots=0)  # so that none is ever idle
    for _ in range(TRIALS):
        assert run.next()["split"] == "search"
        if len(run.asked) < TRIALS:
            run.finish(len(run.asked) - 1)
    for _ in BASELINE_RATIOS:
        assert run.next()["split"] == "report"
    # The points are chosen once all of the search is known.
    assert run.next(patience=3) is None
    run.finish(TRIALS - 1)
    assert run.next()["origin"] == "sampler"


def test_a_search_of_the_baseline_alone_ends_with_all_of_it_reported(tmp_path: Path) -> None:
    run = Run(tmp_path, slots=2, trials=len(FIRST_RATIOS))
    for position in range(len(FIRST_RATIOS)):
        run.next()
        if position < len(FIRST_RATIOS) - 1:
            run.finish(position)
    for _ in range(len(BASELINE_RATIOS) - 1):
        assert run.next()["split"] == "report"
    run.finish(len(FIRST_RATIOS) - 1)
    assert run.next()["number"] == len(FIRST_RATIOS) - 1


@pytest.mark.parametrize("lost", [0, TRIALS - 1])
def test_a_failed_trial_holds_nothing_up(tmp_path: Path, lost: int) -> None:
    run = Run(tmp_path)
    run_to_the_end(run, lost)
    report = [config["number"] for config in run.asked if config["split"] == "report"]
    assert lost not in report
    assert len(report) >= len(BASELINE_RATIOS) - 1
