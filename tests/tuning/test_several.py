"""A search over several aligned models: what is handed out, and in which order, with made-up results."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ama_ray.space.groups import Groups
from ama_ray.space.mixture import Mixture
from ama_ray.space.parametrization import Box
from tests.support.scheduled_run import POINTS, Run, run_to_the_end

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.scores.objectives import Items

MODELS = ("chat", "math", "code")
RANGES = {f"{group}@{model}": (0.0, 1.0) for group in ("a", "b") for model in MODELS}
GROUPS = Groups(tuple(RANGES), {}, RANGES, models=MODELS)
GAIN = {"chat": 2.0, "math": 1.5, "code": -1.0}
TRIALS = 12


def model(ratios: dict[str, float]) -> Items:
    """Two models raise the reward, and more together; the third lowers it. All cost facts."""
    rng = np.random.default_rng(0)
    shares = {name: sum(ratios[f"{group}@{name}"] for group in ("a", "b")) / 2 for name in MODELS}
    reward = sum(GAIN[name] * share for name, share in shares.items()) + 4 * shares["chat"] * shares["math"]
    return {
        "reward": (reward + 0.01 * rng.normal(size=50))[:, None],
        "facts": (rng.random(50) > 0.8 * sum(shares.values())).astype(float)[:, None],
    }


@pytest.fixture
def run(tmp_path: Path) -> Run:
    listed = [f"org/{name}" for name in MODELS]
    return Run(tmp_path, trials=TRIALS, model=model, groups=GROUPS, shape=Mixture(Box(RANGES)), aligned=listed)


def test_the_search_starts_from_every_model_and_stays_in_the_simplex(run: Run) -> None:
    run_to_the_end(run)
    trials = {trial.number: trial for trial in run.recorder.run.trials}
    titles = [trials[number].title for number in range(5)]
    assert titles == ["base", *MODELS, "uniform 0.5"]
    for trial in trials.values():
        for group in ("a", "b"):
            assert math.fsum(trial.ratios[f"{group}@{name}"] for name in MODELS) <= 1 + 1e-9
    assert sum(trial.origin == "sampler" for trial in trials.values()) == TRIALS - 5


def test_the_baseline_is_scored_on_the_report_split(run: Run) -> None:
    run_to_the_end(run)
    done = run.recorder.run
    reported = [trial.title for trial in done.trials if trial.origin == "baseline" and trial.report]
    ways = [f"uniform {ratio / 10:g}" for ratio in range(1, 11)] + [f"chat {ratio / 10:g}" for ratio in range(1, 10)]
    # The second model helps the best one, and the third does not help the two.
    assert sorted(reported) == sorted(["base", *MODELS, *ways, "soup chat+math"])
    assert done.pareto.aligned.title == "chat"
    assert done.is_reported
    assert done.pareto.uniform_hypervolume <= done.pareto.hypervolume
    chosen = [trial for trial in done.trials if trial.report and trial.origin == "sampler"]
    assert 0 < len(chosen) <= POINTS
    (twin,) = (trial for trial in done.trials if trial.origin == "twin")
    assert twin.uniform_ratio == pytest.approx(twin.mean_ratio)


def test_the_last_steps_of_one_run_are_averaged(tmp_path: Path) -> None:
    steps = [{"path": f"org/{name}", "step": number} for number, name in enumerate(MODELS)]
    run = Run(tmp_path, trials=TRIALS, model=model, groups=GROUPS, shape=Mixture(Box(RANGES)), aligned=steps)
    run_to_the_end(run)
    baseline = [trial for trial in run.recorder.run.trials if trial.origin == "baseline" and trial.report]
    (last,) = (trial for trial in baseline if trial.title == "soup math+code")
    assert set(last.ratios.values()) == {0.0, 0.5}
    assert len(baseline) <= run.recorder.run.config.baseline_points


def test_it_goes_on_where_it_was(run: Run, tmp_path: Path) -> None:
    for position in range(8):
        assert run.next() is not None
        run.finish(position)
    listed = [f"org/{name}" for name in MODELS]
    again = Run(
        tmp_path, trials=TRIALS, model=model, groups=GROUPS, shape=Mixture(Box(RANGES)), aligned=listed, resumed=True
    )
    run_to_the_end(again)
    trials = again.recorder.run.trials
    assert [trial.number for trial in trials if trial.search] == list(range(TRIALS))
    assert len({tuple(trial.ratios.values()) for trial in trials if trial.origin == "baseline"}) == sum(
        trial.origin == "baseline" for trial in trials
    )
