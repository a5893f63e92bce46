"""`retry_write`: writing what must not be lost, while a disk is full or a database is away."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import DBAPIError

from ama_ray.errors import UserError, one_line
from ama_ray.storage.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
PATIENCE = 1800.0
"""Seconds after which a disk that is still full, or a database that is still away, ends the run."""


def retry_write(action: Callable[[], Result], what: str, tell: Callable[[str], None]) -> Result:
    """Does something again and again, with growing pauses, until it succeeds.

    Args:
        action: Writes; leaves nothing half-done when it fails.
        what: What is written, for the sentence.
        tell: Called with a line of text at every failure.

    Raises:
        UserError: It has failed for too long.
    """
    backoff = Backoff(FIRST_WAIT, LONGEST_WAIT)
    while True:
        try:
            return action()
        except (OSError, StorageInternalError, DBAPIError) as error:
            why = one_line(error)
            if backoff.seconds + backoff.wait > PATIENCE:
                raise UserError(f"{what}: cannot be written ({why}); the same command goes on from here.") from error
            tell(f"{what}: cannot be written ({why}); trying again in {backoff.wait:.0f} s")
        backoff.pause()
