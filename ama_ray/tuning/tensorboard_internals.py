"""Tune's callback for TensorBoard, in whose private parts it is told where to write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray.tune.logger import TBXLoggerCallback

from ama_ray.tuning.trial_records import TrialSpec

if TYPE_CHECKING:
    from pathlib import Path


class FolderTensorBoard(TBXLoggerCallback):
    """Writes to the folder of the run, a folder per split and trial, as Tune's own folder ends with the search."""

    def __init__(self, folder: Path) -> None:
        """Takes the folder that holds those of the trials."""
        super().__init__()
        self._folder = folder

    def log_trial_start(self, trial: Any) -> None:
        """Opens the writer of a trial."""
        if trial in self._trial_writer:
            self._trial_writer[trial].close()
        spec = TrialSpec.from_config(trial.config)
        place = self._folder / spec.split / str(spec.number)
        self._trial_writer[trial] = self._summary_writer_cls(str(place), flush_secs=30)
        self._trial_result[trial] = {}
