"""Everything that uses what Ray and Tune keep to themselves."""

from __future__ import annotations

import logging
import math
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import cloudpickle
from ray._private import ray_constants
from ray._private.state import state
from ray.exceptions import RayActorError
from ray.tune.experiment import Trial
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler
from ray.tune.utils.object_cache import _ObjectCache

from ama_ray.environment import variable
from ama_ray.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from ray.tune.execution.tune_controller import TuneController

_log = logging.getLogger(__name__)


class IdleActors(_ObjectCache):
    """Trial actors that wait for a trial, every one of them until the search is over.

    Tune's own keeps one more than there are trials that wait, and ends the others: two engines that wait for the last
    trial of the search, on which the points of the report depend, would be one, and another would have to start.
    """

    def cache_object(self, key: Any, obj: Any) -> bool:
        """Takes an actor."""
        self._cached_objects[key].append(obj)
        self._num_cached_objects += 1
        return True

    def flush_cached_objects(self, force_all: bool = False) -> Iterator[Any]:
        """Gives up every actor, or none."""
        return iter(super().flush_cached_objects(force_all=True) if force_all else ())


class NewestFirstScheduler(FIFOScheduler):
    """Gives an idle engine the trial that was suggested last, and has Tune keep every idle engine.

    For an earlier one that waits, a process is being started on a node that has room. Tune ends that process when it
    gives the trial to another: where trials are shorter than it takes to start, no further node would ever be used.
    """

    def on_trial_add(self, tune_controller: TuneController, trial: Trial) -> None:
        """Before the first trial runs, gives Tune a place where idle actors stay."""
        controller: Any = tune_controller._tune_controller
        if not isinstance(controller._actor_cache, IdleActors):
            controller._actor_cache = IdleActors()

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        """Chooses the latest trial that waits."""
        forget_results(tune_controller)
        forget_ended(tune_controller)
        if not any(trial.status == Trial.PENDING for trial in tune_controller.get_live_trials()):
            return None
        return next(trial for trial in reversed(tune_controller.get_trials()) if trial.status == Trial.PENDING)


class NoProgress(TrialProgressCallback):
    """Takes the place of Tune's own, which keeps every trial, and formats every result for logs that nobody reads."""

    def on_trial_result(self, iteration: int, trials: list[Trial], trial: Trial, result: Any, **info: Any) -> None:
        """Does nothing."""

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Does nothing."""

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Does nothing."""


@contextmanager
def on_loopback() -> Iterator[None]:
    """Has a Ray that is started meanwhile listen on loopback only, as it does on machines that are no cluster.

    Without it, Ray listens on every interface of a Linux machine. The switch is a constant that Ray reads from an
    environment variable when it is imported, which has happened by now; and it must not stay on, as this process may
    join a cluster later.
    """
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def autoscaled_nodes() -> list[tuple[Mapping[str, float], float]]:
    """The types of nodes that an autoscaler could start: the resources of one, and how many at most."""
    config = state.get_cluster_config()
    groups = config.node_group_configs if config else ()
    return [(dict(group.resources), math.inf if group.max_count < 0 else group.max_count) for group in groups]


def autoscaled_resources() -> Mapping[str, float]:
    """The resources of all nodes together that an autoscaler could start."""
    most: dict[str, float] | None = state.get_max_resources_from_cluster_config()
    return most or {}


def no_state_of_tune() -> AbstractContextManager[None]:
    """Has Tune write its own state at the end only: a run goes on from `trials.csv` and its study.

    Else it writes all trials again and again, which takes longer with every one, and keeps what it wrote.
    """
    return variable("TUNE_GLOBAL_CHECKPOINT_S", str(10**9))


def why_failed(trial: Any) -> str:
    """Says in one line why the actor of a Tune trial died or raised."""
    # The error is in the trial's own folder: `get_pickled_error` looks where it has not been copied to yet.
    path = trial.pickled_error_file
    if not path or not Path(path).is_file():
        return "the trial's process ended"
    error = cloudpickle.loads(Path(path).read_bytes())
    _log.error("trial %s ended by an error", trial, exc_info=error)
    if isinstance(error, RayActorError):
        return "its process died, or was ended as it took too long"
    return one_line(error)


def forget_ended(tune_controller: Any) -> None:
    """Drops the trials that have ended, but the newest: Tune keeps all of them until the search is over.

    A tracker that keeps them keeps little: averages, extremes and the last values of every number in every result, a
    reference into the object store (ray-project/ray#64231), the last result and copies of the configuration go.

    Args:
        tune_controller: The controller as Tune hands it to a scheduler.
    """
    controller = tune_controller._tune_controller
    ended = controller._stopped_trials.difference(controller._trials[-1:])
    for trial in ended:
        trial.run_metadata.metric_analysis.clear()
        trial.run_metadata.metric_n_steps.clear()
        trial.run_metadata.last_result = {}
        trial._default_result_or_future = None
        trial.config.clear()
        trial.evaluated_params = {}
    if ended:
        controller._stopped_trials -= ended
        controller._trials_to_cache -= ended
        for each in (controller._trials, controller._pending_trials_list):
            each[:] = [trial for trial in each if trial not in ended]


def forget_results(tune_controller: Any) -> None:
    """Drops the results that actors have returned: Tune keeps them all, in the object store, as long as an actor lives.

    Args:
        tune_controller: The controller as Tune hands it to a scheduler.
    """
    actors = tune_controller._tune_controller._actor_manager
    awaited = actors._actor_task_events.get_futures()
    for results in actors._tracked_actors_to_task_futures.values():
        results.intersection_update(awaited)
