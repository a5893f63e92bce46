"""`run`: a program that nobody has read, in a sandbox."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass

from ama_ray.processes import sandbox_main

GRACE = 30.0
"""Seconds for starting a sandbox and ending it, on a busy machine."""

_TRIAL = """\
import os, time
try:
    for _ in range(8):
        if not os.fork():
            time.sleep(60)
except BlockingIOError:
    pass
else:
    raise SystemExit
"""
"""Comes to its end where it is held to fewer processes than nine, as root is not everywhere."""


class SandboxError(RuntimeError):
    """There is no sandbox on this machine; one line."""


@dataclass(frozen=True)
class Limits:
    """What a program may take.

    Attributes:
        seconds: By the clock.
        memory_mb: Of address space, of each of its processes.
        processes: That it may have at a time.
        files_mb: Of all that it writes.
    """

    seconds: float = 10
    memory_mb: int = 1024
    processes: int = 16
    files_mb: int = 32


def run(program: str, limits: Limits, *, isolated: bool = True) -> bool:
    """Runs a Python program in an empty folder.

    Isolated, it is in namespaces of its own (users, processes, files, network), as another user where this one is
    root: it sees Python and an empty folder in memory, and nothing that it starts outlives it. Otherwise it is a
    process of this user with the same limits of time, memory and files.

    Args:
        program: Its text.
        limits: What it may take.
        isolated: Whether to isolate it.

    Returns:
        Whether it came to its end: no error, no exit before, within the limits.

    Raises:
        SandboxError: It was to be isolated, and cannot be here.
    """
    request = {"program": program, "isolated": isolated, **asdict(limits)}
    # Whatever the environment of this process holds, keys among it, is not for the sandbox.
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PATH": os.defpath}
    process = subprocess.Popen(
        [sys.executable, "-m", sandbox_main.__name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=environment,
    )
    try:
        told, trouble = process.communicate(json.dumps(request).encode(), limits.seconds + GRACE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return False
    answer = json.loads(told) if told else {"trouble": trouble.decode(errors="replace").strip()[-300:]}
    if "trouble" in answer:
        raise SandboxError(f"a program cannot be isolated here: {answer['trouble']}")
    return bool(answer["passed"])


@functools.cache
def trouble() -> str:
    """Why programs cannot be isolated on this machine, one line; empty where they can be."""
    try:
        return "" if run(_TRIAL, Limits(processes=4)) else "a program here can start as many processes as it likes"
    except SandboxError as error:
        return str(error)
