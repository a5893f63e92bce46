"""Functions in a process of their own. They fork from one that has imported vllm, which would take most of the time."""

from __future__ import annotations

import faulthandler
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

IMPORTED = ["transformers", "vllm.entrypoints.llm", "vllm.v1.engine.llm_engine", "vllm.v1.worker.cpu_worker"]
LIMIT = 400
"""Seconds after which a process prints where it hangs and ends; waiting for it then raises."""


class OwnProcess:
    """One process that lives until `close`; module-level functions run in it, one after another."""

    def __init__(self, *, fresh: bool = False) -> None:
        """Starts it; a fresh one has imported nothing."""
        watchdog = partial(faulthandler.dump_traceback_later, LIMIT, exit=True)
        context = get_context("spawn" if fresh else "forkserver")
        context.set_forkserver_preload(IMPORTED)
        self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=watchdog)

    def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return self._pool.submit(function, *args, **kwargs).result()

    def close(self) -> None:
        self._pool.shutdown()


def in_own_process(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    process = OwnProcess()
    try:
        return process.run(function, *args, **kwargs)
    finally:
        process.close()
