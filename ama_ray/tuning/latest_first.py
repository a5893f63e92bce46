"""`LatestFirst`: which of the trials that wait an idle engine is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from ama_ray.tuning.forgetting import forget_results

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController


class LatestFirst(FIFOScheduler):  # type: ignore[misc]
    """Gives an idle engine the trial that was suggested last.

    For an earlier one that waits, a process is being started on a node that has room. Tune ends that process when it
    gives the trial to another: where trials are shorter than it takes to start, no further node would ever be used.
    """

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        """The latest trial that waits."""
        forget_results(tune_controller)
        if not any(trial.status == Trial.PENDING for trial in tune_controller.get_live_trials()):
            return None
        return next(trial for trial in reversed(tune_controller.get_trials()) if trial.status == Trial.PENDING)
