"""Starting Ray on this machine, or joining the cluster that `RAY_ADDRESS` names."""

from __future__ import annotations

import logging
import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import ray

from ama_ray.environment import variable
from ama_ray.errors import UserError, one_line
from ama_ray.tuning.ray_internals import on_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


KNOCK_SECONDS = 20
"""For a connection to a cluster; one that is being started may be asked for a little early."""
LONGEST_FOLDER = 39
"""Bytes of a folder, which leave room for `/ray/session_DATE_TIME_PROCESS/sockets/plasma_store`."""
SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")
_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@contextmanager
def ray_cluster(object_store: Callable[[], int | None] = lambda: None) -> Iterator[None]:
    """Ray for the duration of a run: the one already connected, the one at `RAY_ADDRESS`, or one of our own.

    One of our own listens on loopback only and ends with the run.

    Args:
        object_store: Size in bytes for the object store of one of our own, None for Ray's choice.

    Raises:
        UserError: There is no cluster at `RAY_ADDRESS`, or Ray does not start here.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    # In the end Tune misses the files of every trial, which `TUNE_DISABLE_AUTO_CALLBACK_LOGGERS` has it not write.
    logging.getLogger("ray.tune.analysis.experiment_analysis").setLevel(logging.ERROR)
    if ray.is_initialized():
        yield
        return
    _quiet_console()
    if "RAY_ADDRESS" in os.environ:
        _join(os.environ["RAY_ADDRESS"])
    else:
        _start(object_store())
    try:
        yield
    finally:
        ray.shutdown()


def _join(address: str) -> None:
    try:
        _knock(address)
        ray.init(log_to_driver=False, logging_level=logging.WARNING)
    except (OSError, ValueError) as error:
        raise UserError(
            f"RAY_ADDRESS: there is no Ray cluster at {address}, or it asks for a token (RAY_AUTH_MODE=token); "
            f"unset the variable to search on this machine alone ({one_line(error)})."
        ) from error


def _knock(address: str) -> None:
    """Looks whether anything listens at an address, which Ray asks for a quarter of an hour.

    Raises:
        OSError: Nothing does.
    """
    place = urlsplit(address if "//" in address else f"//{address}")
    if place.hostname and place.port:  # neither `auto` nor `local`
        socket.create_connection((place.hostname, place.port), timeout=KNOCK_SECONDS).close()


def _start(object_store: int | None) -> None:
    folder = ray_folder()
    try:
        with on_loopback(), variable("RAY_TMPDIR", folder):
            ray.init(
                address="local",
                include_dashboard=False,
                object_store_memory=object_store,
                log_to_driver=False,
                logging_level=logging.WARNING,
            )
    except Exception as error:  # whatever Ray raises where a port, memory or a folder is missing
        raise UserError(
            f"Ray does not start on this machine ({one_line(error)}); its own files are in {folder}/ray."
        ) from error


def ray_folder() -> str:
    """The folder for the files of a Ray of our own: where Ray would have it, or a shorter one.

    Its sockets lie in there, and the path of a socket holds 107 bytes.

    Raises:
        UserError: None that can be written to is short enough.
    """
    wanted = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"
    for folder in (wanted, *SHORT_FOLDERS):
        if len(os.fsencode(folder)) <= LONGEST_FOLDER and os.access(folder, os.W_OK | os.X_OK):
            return folder
    raise UserError(
        f"TMPDIR: {wanted} cannot hold the sockets of Ray; name a folder of at most {LONGEST_FOLDER} characters that "
        "can be written to."
    )


def _quiet_console() -> None:
    """Leaves Ray's warnings out of the terminal; the log of a run has them.

    Only the handler that Ray itself made is changed: one that the caller has put there may serve other loggers too.
    """
    for handler in logging.getLogger("ray").handlers:
        if type(handler).__module__.startswith("ray."):
            handler.setLevel(logging.ERROR)
