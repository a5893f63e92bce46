"""The Optuna study of a run, on disk or in a database: every suggestion is there before a trial starts."""

from __future__ import annotations

import os
import re
import warnings
from typing import TYPE_CHECKING, Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import JournalStorage, RDBStorage
from optuna.study import StudyDirection

from ama_ray.errors import UserError, one_line
from ama_ray.reading import open_regular
from ama_ray.scores.tokens import minimised
from ama_ray.storage.names import JOURNAL, TRIALS
from ama_ray.tuning.optuna_internals import Journal, NoLock

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from optuna.storages import BaseStorage

    from ama_ray.storage.run_folder import RunFolder

_REMEDY = f"put back the run's own, or remove it, and the search goes on from {TRIALS}."
_DATED = re.compile(rb'"datetime_\w+":"')
"""In a line of a journal that says when something happened, to the microsecond."""


def place(folder: RunFolder, storage: str | None) -> str:
    """Where the study of a run is, as messages name it; see `open_study`."""
    return f"storage: {storage}" if storage else str(folder.path / JOURNAL)


def open_study(
    folder: RunFolder, storage: str | None, objectives: Sequence[str], sampler: optuna.samplers.BaseSampler
) -> optuna.Study:
    """Opens the study of a run, or makes it.

    Args:
        folder: The folder of the run.
        storage: An Optuna URL of a database; None for a journal in the folder.
        objectives: Their names.
        sampler: It chooses the ratios.

    Raises:
        UserError: The database cannot be reached, or the journal is damaged or of another run.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    directions = [StudyDirection.MINIMIZE if minimised(name) else StudyDirection.MAXIMIZE for name in objectives]
    try:
        stored = _storage(storage, folder.path)
        if not storage:
            _refuse_other(stored, folder)
        study = optuna.create_study(
            storage=stored, study_name=folder.study, load_if_exists=True, directions=directions, sampler=sampler
        )
        if study.directions != directions:
            raise UserError(f"{place(folder, storage)}: the study {folder.study} has other objectives; {_REMEDY}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names(list(objectives))
        return study
    except UserError:
        raise
    except Exception as error:  # SQLAlchemy, its drivers and Optuna raise all sorts
        raise UserError(f"{place(folder, storage)}: the study cannot be opened ({one_line(error)}).") from None


def _refuse_other(stored: BaseStorage, folder: RunFolder) -> None:
    """A journal that lacks the study of a run's trials is not the one that they were suggested from.

    Raises:
        UserError: It is not.
    """
    names = [each.study_name for each in stored.get_all_studies()]
    if folder.trials and names and folder.study not in names:
        raise UserError(
            f"{folder.path / JOURNAL}: it is of another run ({names[0]}), and this one is {folder.study}; {_REMEDY}"
        )


def _storage(url: str | None, folder: Path) -> BaseStorage:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        if url:
            # A connection that a restart of the server has closed is noticed before it is used.
            return RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
        return JournalStorage(_Journal(folder / JOURNAL))


class _Journal(Journal):
    """Optuna's journal without half-written lines, after which it could not be read."""

    def __init__(self, path: Path) -> None:
        """Cuts off what a killed process had not finished writing."""
        if os.path.lexists(path):
            with open_regular(path, limit=None) as file:
                written = file.read()
            if not written.endswith(b"\n"):
                os.truncate(path, written.rfind(b"\n") + 1)
            dated = [line for line in written.splitlines() if _DATED.search(line)]
            if len(set(dated)) < len(dated):
                raise UserError(f"{path}: what happened once is there twice; {_REMEDY}")
        super().__init__(str(path), NoLock())
        self._path = path

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Appends whole lines, or nothing where the disk is full."""
        before = self._path.stat().st_size
        try:
            super().append_logs(logs)
        except OSError:
            os.truncate(self._path, before)
            raise
