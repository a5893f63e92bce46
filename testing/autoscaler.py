"""A real autoscaler on one machine: nodes appear for a search, are replaced when lost, and go when idle."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import psutil
import yaml
from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID

from testing.freezing import freeze_during_generation
from testing.nodes import MEMORY, STORE
from testing.search_process import ORDERLESS, FaultRun, end, engines_among, offspring, title

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[1]
MOST = 2
"""Worker nodes at a time; each has room for one engine."""
IDLE_MINUTES = 0.3
COMMANDS = "initialization", "setup", "head_setup", "worker_setup", "head_start_ray", "worker_start_ray"
STARTED = "Ray runtime started."
READY, GONE = 120.0, 120.0
"""Seconds in which the head must have started, and nodes have gone."""
PRIVATE = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(),
}
"""Ray's own switch for machines that are no cluster, with which it listens on loopback only; and a token."""


class Autoscaled:
    """A head that starts nodes, and the nodes that it has started.

    Attributes:
        address: Of the cluster.
    """

    def __init__(self, head: psutil.Process, address: str) -> None:
        """Watches a head."""
        self._head = head
        self.address = address

    @property
    def raylets(self) -> dict[str, psutil.Process]:
        """Of the worker nodes that run now, by the id of the node."""
        found = {}
        for process in offspring([self._head.pid]):
            name = _environment(process, "RAY_CLOUD_INSTANCE_ID")
            if "raylet/raylet " in title(process) and name not in ("", FAKE_HEAD_NODE_ID):
                found[name] = process
        return found

    @property
    def engines(self) -> dict[str, list[psutil.Process]]:
        """Processes of trial actors by the id of their node."""
        return {name: engines_among(offspring([raylet.pid])) for name, raylet in self.raylets.items()}

    def kill(self, name: str) -> None:
        """`kill -9` of a node's raylet and of all that it started."""
        raylet = self.raylets[name]
        end([raylet, *offspring([raylet.pid])])


@contextmanager
def autoscaled() -> Iterator[Autoscaled]:
    """A head without room for an engine, which starts and ends nodes as they are needed.

    Raises:
        RuntimeError: The head does not start.
    """
    port = _free_port()
    address = f"127.0.0.1:{port}"
    with TemporaryDirectory(prefix="ama_ray-head-") as scratch:
        folder = Path(scratch)
        (folder / "config.yaml").write_text(yaml.safe_dump(_config(address)), encoding="utf-8")
        resources = ["--num-cpus=0", "--memory=1", f"--object-store-memory={STORE}"]
        command = [
            *(str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", f"--port={port}"),
            *("--include-dashboard=false", "--disable-usage-stats", f"--temp-dir={folder / 'ray'}"),
            *(f"--autoscaling-config={folder / 'config.yaml'}", *resources),
        ]
        environment = {
            "PYTHONPATH": str(ROOT),
            "RAY_FAKE_CLUSTER": "1",
            "RAY_enable_autoscaler_v2": "1",
            "AUTOSCALER_UPDATE_INTERVAL_S": "1",
            "RAY_CLOUD_INSTANCE_ID": FAKE_HEAD_NODE_ID,
            "RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID,
        }
        with (folder / "log").open("wb") as log:
            environment = os.environ | PRIVATE | environment
            head = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
        process = psutil.Process(head.pid)
        cluster = Autoscaled(process, address)
        try:
            log_file = folder / "log"
            wait_until(lambda: head.poll() is not None or STARTED in log_file.read_text("utf-8"), READY, "no head")
            if head.poll() is not None:
                raise RuntimeError(f"the head did not start: {log_file.read_text('utf-8')}")
            yield cluster
        finally:
            # All that is left of it, as whoever has lost its parent is no longer among its children.
            end([*offspring([head.pid]), process, *_left(folder)])
            head.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_until(ready: Callable[[], object], limit: float, trouble: str) -> float:
    """Waits until something is so.

    Returns:
        How many seconds that took.

    Raises:
        RuntimeError: It took too long.
    """
    start = time.monotonic()
    while not ready():
        if time.monotonic() - start > limit:
            raise RuntimeError(f"{trouble} within {limit:.0f} s")
        time.sleep(0.2)
    return time.monotonic() - start


def lose_one(folder: Path, seed: int) -> dict[str, FaultRun]:
    """See `scale`; the row of the table."""
    return {"autoscaler: a worker node: kill -9": scale(folder, **ORDERLESS)}


def scale(folder: Path, **fields: Any) -> FaultRun:
    """A search that nodes come for; one of them is killed; when the search has ended, they go.

    Returns:
        The run, with a note of how long that took.

    Raises:
        RuntimeError: Nodes did not come, were not used, not replaced, or did not go.
    """
    with autoscaled() as cluster:
        if cluster.raylets:
            raise RuntimeError("there are worker nodes before anything asks for one")
        run = FaultRun(folder, fields, {"RAY_ADDRESS": cluster.address, **PRIVATE})
        run.start()
        run.wait_for(lambda: "starting engines" in run.log)
        began = time.monotonic()
        run.wait_for(lambda: cluster.raylets)
        came = time.monotonic() - began
        run.wait_for(lambda: sum(map(bool, cluster.engines.values())) == MOST)
        run.wait_for_results(4)
        printed, before = len(run.log), set(cluster.raylets)
        engine = freeze_during_generation(run, lambda: [each for some in cluster.engines.values() for each in some])
        victim = next(name for name, engines in cluster.engines.items() if engine in engines)
        run.inject(lambda: cluster.kill(victim))
        killed = time.monotonic()
        run.wait_for(lambda: set(cluster.raylets) - before)
        replaced = time.monotonic() - killed
        (new,) = set(cluster.raylets) - before
        run.time_retry(printed)
        run.wait_for(lambda: cluster.engines.get(new))
        used = time.monotonic() - killed
        run.finish()
        if len(cluster.raylets) > MOST:
            raise RuntimeError(f"nodes at the end: {sorted(cluster.raylets)}")
        gone = wait_until(lambda: not cluster.raylets, GONE, "the nodes did not go")
    run.note = (
        f"{MOST} nodes came, the first after {came:.0f} s; the lost one was replaced after {replaced:.0f} s and used "
        f"after {used:.0f} s; all had gone {gone:.0f} s after the search"
    )
    return run


def _config(address: str) -> dict[str, Any]:
    provider = {
        "type": "external",
        "module": "testing.node_provider.Provider",
        "launch_multiple": True,
        "head_node_id": FAKE_HEAD_NODE_ID,
        "gcs_address": address,
    }
    worker = {"CPU": 1, "memory": MEMORY, "object_store_memory": STORE}
    return {
        "cluster_name": "ama-ray-local",
        "max_workers": MOST,
        "idle_timeout_minutes": IDLE_MINUTES,
        "provider": provider,
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
            "worker": {"resources": worker, "node_config": {}, "min_workers": 0, "max_workers": MOST},
        },
        "head_node_type": "ray.head.default",
        "auth": {},
        "file_mounts": {},
        "head_node": {},
        "worker_nodes": {},
        **{f"{kind}_commands": [] for kind in COMMANDS},
        "cluster_synced_files": [],
        "rsync_exclude": [],
        "rsync_filter": [],
        "file_mounts_sync_continuously": False,
        "upscaling_speed": 1.0,
    }


def _environment(process: psutil.Process, name: str) -> str:
    try:
        return str(process.environ().get(name, ""))
    except psutil.Error:
        return ""


def _left(folder: Path) -> list[psutil.Process]:
    """Processes of this cluster, which all have its folder in their arguments."""
    return [each for each in psutil.process_iter() if str(folder) in title(each)]
