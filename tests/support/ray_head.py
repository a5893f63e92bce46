"""A Ray cluster of one node, as `ray start --head` makes it, for tests of what talks to it from outside."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import requests

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 90.0


@dataclass(frozen=True)
class RayHead:
    """A running cluster.

    Attributes:
        address: Of its job server.
        environment: What a command needs to use it.
        process: `ray start`, the parent of all.
    """

    address: str
    environment: dict[str, str]
    process: psutil.Process

    def tree(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


@contextmanager
def ray_head() -> Iterator[RayHead]:
    """Has a token of its own, one core, and listens on loopback only."""
    ports = _free_ports(3)
    folder = Path(tempfile.mkdtemp(prefix="rj", dir="/tmp"))  # short, as Ray's sockets lie below it
    (folder / "token").write_text("a" * 64)
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(folder / "token"),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{ports[1]}",
    }
    environment.pop("RAY_ADDRESS", None)
    command = [
        *("ray", "start", "--head", "--block", "--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1"),
        *(f"--port={ports[0]}", f"--dashboard-port={ports[1]}", f"--dashboard-agent-listen-port={ports[2]}"),
        *(f"--temp-dir={folder}", "--num-cpus=1", "--object-store-memory=200000000", "--include-log-monitor=false"),
    ]
    with (folder / "log").open("wb") as log:
        started = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    head = RayHead(environment["RAY_API_SERVER_ADDRESS"], environment, psutil.Process(started.pid))
    try:
        _wait(head, started, folder)
        yield head
    finally:
        everything = head.tree()
        for process in everything:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(everything, timeout=10)
        started.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait(head: RayHead, started: subprocess.Popen[bytes], folder: Path) -> None:
    headers = {"Authorization": f"Bearer {(folder / 'token').read_text()}"}
    began = time.monotonic()
    while True:
        try:
            requests.get(f"{head.address}/api/jobs/", headers=headers, timeout=5).raise_for_status()
        except requests.RequestException:
            if started.poll() is not None or time.monotonic() - began > LIMIT:
                raise RuntimeError((folder / "log").read_text()) from None
            time.sleep(0.5)
        else:
            return


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
