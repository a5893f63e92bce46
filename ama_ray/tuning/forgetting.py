"""What Tune keeps of every trial until the search ends, and what nobody reads: without this a search would grow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ama_ray.tuning.environment import variable

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


def no_state_of_tune() -> AbstractContextManager[None]:
    """Has Tune write its own state at the end only: a run goes on from `trials.csv` and its study.

    Else it writes all trials again and again, which takes longer with every one, and keeps what it wrote.
    """
    return variable("TUNE_GLOBAL_CHECKPOINT_S", str(10**9))


def forget_trial(trial: Any) -> None:
    """Drops what Tune keeps of a trial that has ended.

    That are averages, extremes and the last values of every number in every result, and a reference into the object
    store (ray-project/ray#64231).
    """
    trial.run_metadata.metric_analysis.clear()
    trial.run_metadata.metric_n_steps.clear()
    trial._default_result_or_future = None


def forget_results(tune_controller: Any) -> None:
    """Drops the results that actors have returned: Tune keeps them all, in the object store, as long as an actor lives.

    Args:
        tune_controller: As Tune hands it to a scheduler.
    """
    actors = tune_controller._tune_controller._actor_manager
    awaited = actors._actor_task_events.get_futures()
    for results in actors._tracked_actors_to_task_futures.values():
        results.intersection_update(awaited)
