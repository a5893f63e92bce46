"""Trial actors in a real Tune: one that takes longer to start than trials take, and some that wait for a trial."""

from __future__ import annotations

import gc
import os
import time
import weakref
from pathlib import Path
from typing import Any

import pytest
from ray import tune
from ray.tune.search import Searcher

from ama_ray.tuning.cluster.ray_cluster import ray_cluster
from ama_ray.tuning.ray_internals import NewestFirstScheduler, NoProgress

pytestmark = pytest.mark.engine

TRIALS = 60


class Nap(tune.Trainable):  # type: ignore[misc]
    """Sleeps; every process of it but the first takes long to start."""

    def setup(self, config: dict[str, Any]) -> None:
        try:
            (Path(config["folder"]) / "first").mkdir()
        except FileExistsError:
            time.sleep(3)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        return True

    def step(self) -> dict[str, Any]:
        time.sleep(0.2)
        return {"done": True, "process": os.getpid()}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        pass


class Processes(tune.Callback):  # type: ignore[misc]
    """Remembers the process of every trial, and no trial."""

    def __init__(self) -> None:
        self.of_trials: list[int] = []
        self.alive: weakref.WeakSet[Any] = weakref.WeakSet()
        self.most = 0

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: Any, **info: Any) -> None:
        self.of_trials.append(result["process"])
        self.alive.add(trial)
        gc.collect()
        self.most = max(self.most, len(self.alive))


class Counting(NewestFirstScheduler):
    """Counts the results that Tune holds on to."""

    most = 0

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        chosen = super().choose_trial_to_run(tune_controller)
        kept = tune_controller._tune_controller._actor_manager._tracked_actors_to_task_futures
        self.most = max(self.most, *map(len, kept.values()), 0)
        return chosen


def test_an_actor_that_is_slow_to_start_gets_trials_and_no_trial_and_no_result_is_kept(tmp_path: Path) -> None:
    scheduler, processes = Counting(), Processes()
    with ray_cluster():
        tune.Tuner(
            tune.with_resources(Nap, {"cpu": 1}),
            param_space={"folder": str(tmp_path)},
            tune_config=tune.TuneConfig(
                scheduler=scheduler, num_samples=TRIALS, max_concurrent_trials=3, reuse_actors=True
            ),
            run_config=tune.RunConfig(
                name="tune", storage_path=str(tmp_path / "tune"), verbose=0, callbacks=[processes, NoProgress()]
            ),
        ).fit()
    by_process = processes.of_trials
    assert len(by_process) == TRIALS
    assert processes.most < 8
    assert len(set(by_process)) == 2
    assert 0 < scheduler.most < 5
    assert min(map(by_process.count, set(by_process))) > TRIALS // 5


class Rounds(Searcher):  # type: ignore[misc]
    """Hands out two trials, then none until both have ended, and so on: two actors are idle again and again."""

    def __init__(self, folder: Path, rounds: int) -> None:
        super().__init__(metric="process", mode="max")
        self.folder, self.trials = folder, 2 * rounds
        self.asked = 0
        self.running: set[str] = set()

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        if self.asked % 2 == 0 and self.running:
            return None
        if self.asked == self.trials:
            return str(Searcher.FINISHED)
        self.running.add(trial_id)
        self.asked += 1
        return {"folder": str(self.folder / f"round-{(self.asked - 1) // 2}")}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self.running.remove(trial_id)

    def save(self, checkpoint_path: str) -> None:
        pass

    def restore(self, checkpoint_path: str) -> None:
        pass


class Meets(Nap):
    """Both trials of a round begin before either ends."""

    def setup(self, config: dict[str, Any]) -> None:
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.folder = Path(new_config["folder"])
        return True

    def step(self) -> dict[str, Any]:
        self.folder.mkdir(exist_ok=True)
        (self.folder / str(os.getpid())).touch()
        while len(list(self.folder.iterdir())) < 2:
            time.sleep(0.01)
        return super().step()


def test_actors_that_wait_for_a_trial_together_are_kept(tmp_path: Path) -> None:
    processes = Processes()
    with ray_cluster():
        tune.Tuner(
            tune.with_resources(Meets, {"cpu": 1}),
            tune_config=tune.TuneConfig(
                search_alg=Rounds(tmp_path, 4),
                scheduler=NewestFirstScheduler(),
                num_samples=-1,
                max_concurrent_trials=2,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name="tune", storage_path=str(tmp_path / "tune"), verbose=0, callbacks=[processes, NoProgress()]
            ),
        ).fit()
    by_process = processes.of_trials
    assert len(by_process) == 8
    assert len(set(by_process)) == 2
