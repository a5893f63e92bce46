"""Processes caught at a moment: stopped, looked into from outside, and left so if it is the one to kill them at."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from testing.search_process import FaultRun

Stack = frozenset[tuple[str, str]]
"""The functions that a process is in: the file's name and the function's, with its class, of all threads."""


def generating(stack: Stack) -> bool:
    """Whether vLLM answers what a trial asks, replies first of all."""
    return ("engine.py", "Engine.answer") in stack


def in_a_trial(stack: Stack) -> bool:
    """Whether a trial is under way."""
    return ("trainable.py", "SwapTrial._step") in stack


def freeze_during_generation(
    run: FaultRun, engines: Callable[[], Sequence[psutil.Process]] | None = None
) -> psutil.Process:
    """Stops an engine that generates replies, and leaves it so.

    Args:
        run: The search.
        engines: Which there are to choose from; default: those of a run with a Ray of its own.
    """
    return _freeze(run, engines or run.engines, lambda engine, stack: generating(stack))


def freeze_between_trials(run: FaultRun) -> psutil.Process:
    """Stops an engine that has worked on a trial and now works on none, and leaves it so."""
    worked: set[psutil.Process] = set()

    def idle(engine: psutil.Process, stack: Stack) -> bool:
        if generating(stack):
            worked.add(engine)
        return engine in worked and bool(stack) and not in_a_trial(stack)

    return _freeze(run, run.engines, idle)


def _freeze(
    run: FaultRun,
    engines: Callable[[], Sequence[psutil.Process]],
    wanted: Callable[[psutil.Process, Stack], bool],
) -> psutil.Process:
    def caught() -> psutil.Process | None:
        for engine in engines():
            with suppress(psutil.NoSuchProcess):
                engine.suspend()
                if wanted(engine, _stack(engine.pid)):
                    return engine
                engine.resume()
        return None

    found: psutil.Process = run.wait_for(caught)
    return found


def _stack(pid: int) -> Stack:
    """Of a process that has been stopped, so that it is still there when this is known."""
    command = [str(Path(sys.executable).with_name("py-spy")), "dump", "--nonblocking", "--json", "--pid", str(pid)]
    found = subprocess.run(command, capture_output=True, check=False, text=True)
    if found.returncode:  # it has no interpreter yet
        return frozenset()
    threads = json.loads(found.stdout)
    return frozenset((Path(each["filename"]).name, each["name"]) for thread in threads for each in thread["frames"])


def freeze_during_write(run: FaultRun) -> None:
    """Stops the driver while it has a file half written, and leaves it so."""
    assert run.process
    driver = psutil.Process(run.process.pid)

    def caught() -> bool:
        began = time.monotonic()
        while time.monotonic() - began < 1:
            if _half_written(run):
                driver.suspend()
                if _half_written(run):
                    return True
                driver.resume()
            time.sleep(0.0002)  # shorter than a write takes
        return False

    run.wait_for(caught)


def _half_written(run: FaultRun) -> bool:
    return (run.out / ".trials.csv.partial").exists() or any(run.out.glob("items/*/*.partial"))
