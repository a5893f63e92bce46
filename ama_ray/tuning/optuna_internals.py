"""Everything that uses what Optuna keeps to itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import optuna
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock

if TYPE_CHECKING:
    from collections.abc import Generator

    from optuna.trial import FrozenTrial


class NoLock(BaseJournalFileLock):
    """A journal's lock that locks nothing.

    The run's folder is held already, and a lock file of Optuna's would outlive a killed process.
    """

    def acquire(self) -> bool:
        """Returns at once."""
        return True

    def release(self) -> None:
        """Has nothing to release."""


class Journal(JournalFileBackend):
    """Optuna's journal, which knows where its last line ends: Optuna's own remembers that of every line."""

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """Yields the lines from a number on."""
        yield from super().read_logs(log_number_from)
        last = max(self._log_number_offset)
        self._log_number_offset = {0: 0, last: self._log_number_offset[last]}


def live_trial(study: optuna.Study, frozen: FrozenTrial) -> optuna.Trial:
    """Finds the trial of a study that a frozen one is a copy of, so that it can be gone on with."""
    return optuna.Trial(study, frozen._trial_id)
