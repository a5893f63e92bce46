"""Starting Ray on this machine, or joining the cluster that `RAY_ADDRESS` names."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import ray

from ama_ray.errors import UserError
from ama_ray.tuning.ray_internals import on_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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
        try:
            ray.init(log_to_driver=False, logging_level=logging.WARNING)
        except ConnectionError as error:
            raise UserError(
                f"RAY_ADDRESS: there is no Ray cluster at {os.environ['RAY_ADDRESS']}, or it asks for a token "
                "(RAY_AUTH_MODE=token)."
            ) from error
    else:
        size = object_store()
        with on_loopback():
            ray.init(
                address="local",
                include_dashboard=False,
                object_store_memory=size,
                log_to_driver=False,
                logging_level=logging.WARNING,
            )
    try:
        yield
    finally:
        ray.shutdown()


def _quiet_console() -> None:
    """Leaves Ray's warnings out of the terminal; the log of a run has them.

    Only the handler that Ray itself made is changed: one that the caller has put there may serve other loggers too.
    """
    for handler in logging.getLogger("ray").handlers:
        if type(handler).__module__.startswith("ray."):
            handler.setLevel(logging.ERROR)
