"""Everything that uses what Optuna keeps to itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import optuna
from optuna.storages.journal._file import BaseJournalFileLock

if TYPE_CHECKING:
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


def live_trial(study: optuna.Study, frozen: FrozenTrial) -> optuna.Trial:
    """Finds the trial of a study that a frozen one is a copy of, so that it can be gone on with."""
    return optuna.Trial(study, frozen._trial_id)
