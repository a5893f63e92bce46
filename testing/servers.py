"""Servers of `ama-ray engine` and `ama-ray serve` in processes of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from testing.search_process import end, offspring

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LIMIT = 600.0


@dataclass
class Server:
    """A running server."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def close(self) -> None:
        """SIGTERM; returns when all of its processes have ended."""
        everything = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0
        _, left = psutil.wait_procs(everything, timeout=30)
        assert not left

    def kill(self) -> None:
        """`kill -9` of all of its processes."""
        if self.process.poll() is None:
            end([*offspring([self.process.pid]), psutil.Process(self.process.pid)])
        self.process.wait()


def start(base: Path, aligned: Path, log: Path, *options: str, port: int = 0, key: str | None = None) -> Server:
    """`ama-ray engine`; returns once it listens."""
    return launch(["engine", "--pair", str(base), str(aligned), "--port", str(port), *options], log, key)


def launch(arguments: Sequence[str], log: Path, key: str | None = None) -> Server:
    """A command of `ama-ray` that serves; returns once it listens."""
    command = [sys.executable, "-m", "ama_ray.cli", *arguments]
    environment = os.environ | {"TEST_ENGINE_KEY": key or ""}
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment)
    server, until = Server(process, "", log), time.monotonic() + LIMIT
    while not (found := re.search(r"listening on (\S+)", log.read_text())):
        if process.poll() is not None or time.monotonic() > until:
            server.kill()
            raise AssertionError(log.read_text())
        time.sleep(0.2)
    server.url = found.group(1)
    return server
