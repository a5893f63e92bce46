"""`run`: a command of the user with a time limit, which leaves no process behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from ama_ray.processes import command_main
from ama_ray.processes.frames import send
from ama_ray.processes.worker_main import KILLED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

MOST = 2**24
"""Bytes that are kept of what a command writes, the last ones."""
GRACE = 10.0
"""Seconds in which its guard ends what a command has started."""


@dataclass(frozen=True)
class Ran:
    """What became of a command.

    Attributes:
        output: What it wrote to standard output, the last `MOST` bytes.
        errors: The same of standard error.
        failure: How it failed, in words that go on after its name; empty where it ended with exit code 0.
    """

    output: str
    errors: str
    failure: str = ""


def run(command: Sequence[str], environment: Mapping[str, str], folder: Path, timeout: float) -> Ran:
    """Runs a command to its end, or ends it with all that it has started.

    It also ends when this process does.

    Args:
        command: The program and its arguments; no shell reads them.
        environment: All of its variables.
        folder: Where it runs.
        timeout: Seconds that it may take.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", command_main.__name__, str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        theirs.close()
        assert process.stdout
        assert process.stderr
        output, errors = _Tail(process.stdout), _Tail(process.stderr)
        failure = ""
        try:
            with suppress(OSError):  # a guard that died says so by its exit code
                send(ours, [list(command), dict(environment), str(folder)])
            failure = _ended(process.wait(timeout))
        except subprocess.TimeoutExpired:
            failure = f"did not end within {timeout:g} s"
        finally:
            ours.close()  # upon which the guard kills all that there is, and ends
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return Ran(output.text(), errors.text(), failure)


def _ended(code: int) -> str:
    number = -code if code < 0 else code - KILLED
    if number in signal.valid_signals():
        return f"was killed ({signal.Signals(number).name})"
    return f"ended with exit code {code}" if code else ""


class _Tail:
    """Reads a pipe to its end, and keeps what came last."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._kept = bytearray()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while part := os.read(self._pipe.fileno(), 2**16):
            self._kept += part
            del self._kept[:-MOST]

    def text(self) -> str:
        self._thread.join(GRACE)
        if not self._thread.is_alive():
            self._pipe.close()
        return self._kept.decode(errors="replace")
