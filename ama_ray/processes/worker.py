"""`call`: a function in the main thread of a process of its own, whatever it does there."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import astuple, dataclass, field
from typing import Any

from ama_ray.processes import worker_main
from ama_ray.processes.frames import receive, send

LOADING = 300.0
"""Seconds that a process may take to start and to import its function."""
GRACE = 5.0
"""Seconds in which a worker's guard ends what the worker has started."""


@dataclass(frozen=True)
class Function:
    """A function that returns a list of numbers.

    Attributes:
        address: `file.py:function`, `file.pickle:function`, or `module:function` of this package.
        source: The text of the file, of a pickle in base 64, which so need not be where the function is called; None
            for a module.
        adapted_by: Of this package, as `module:function`: what makes another function of it, in its process.
    """

    address: str
    source: str | None = field(default=None, repr=False)
    adapted_by: str | None = None


class CallError(RuntimeError):
    """A call gave no numbers: what the function did, in words that go on after its name; one line."""


class LateError(CallError):
    """The function did not return in time."""


class _EndedError(CallError):
    """The function ended its process."""


_running: dict[Function, _Worker] = {}
"""Those that this process has started: one per function, whoever calls it."""
_lock = threading.Lock()


def call(function: Function, *arguments: Any, timeout: float) -> list[float]:
    """Calls a function in its process, which starts with the first call and keeps what the function keeps.

    Args:
        function: What to call.
        arguments: For it, as JSON can carry them.
        timeout: Seconds that the call may take; a process that has to start first has `LOADING` for that.

    Raises:
        CallError: It gave no numbers. Where it is late or has ended its process, the next call starts a new one.
    """
    with _lock:
        worker = _running.get(function) or _Worker(function)
        _running[function] = worker
    try:
        return worker.call(arguments, timeout)
    except (LateError, _EndedError):
        with _lock:
            if _running.get(function) is worker:
                del _running[function]
        worker.end()
        raise


def end_workers() -> None:
    """Ends those that this process has started."""
    with _lock:
        while _running:
            _running.popitem()[1].end()


class _Worker:
    def __init__(self, function: Function) -> None:
        self._function = function
        self._lock = threading.Lock()
        self._is_loaded = False
        self._channel, theirs = socket.socketpair()
        with theirs:
            # Its group is its own: what the function does to its group, or a terminal to ours, stays there.
            self._process = subprocess.Popen(
                [sys.executable, "-m", worker_main.__name__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=2,  # standard output may be the answer of a command
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )

    def call(self, arguments: tuple[Any, ...], timeout: float) -> list[float]:
        with self._lock:
            if not self._is_loaded:
                self._ask(astuple(self._function), LOADING)
                self._is_loaded = True
            return self._ask(arguments, timeout)

    def _ask(self, request: Any, timeout: float) -> list[float]:
        until = time.monotonic() + timeout
        try:
            self._channel.settimeout(timeout)
            send(self._channel, request)
            answer = receive(self._channel, until)
        except TimeoutError:
            raise LateError(f"did not return within {timeout:g} s") from None
        except (EOFError, OSError):
            raise _EndedError(self._how_it_ended()) from None
        if "error" in answer:
            raise CallError(answer["error"])
        numbers: list[float] = answer["numbers"]
        return numbers

    def end(self) -> None:
        self._channel.close()  # upon which the guard kills all that there is, and ends
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE)
        if self._process.returncode is None or self._process.returncode < 0:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _how_it_ended(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE)
        code = self._process.returncode or 0
        number = -code if code < 0 else code - worker_main.KILLED
        if number not in signal.valid_signals():
            return f"ended its process with exit code {code}"
        why = ", perhaps for lack of memory" if number == signal.SIGKILL else ""
        return f"lost its process, which was killed ({signal.Signals(number).name}){why}"
