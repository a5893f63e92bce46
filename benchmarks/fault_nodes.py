"""Nodes that come and go: Ray clusters of several local nodes, and searches that have joined them."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psutil
import ray
from ray.cluster_utils import Cluster

from ama_ray.tuning.cluster import _on_loopback
from benchmarks.fault_run import FaultRun

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STORE = 300 * 2**20
MEMORY = 8 * 2**30


@contextmanager
def cluster(workers: int) -> Iterator[Cluster]:
    """A head without room for an engine, and nodes with room for one each; all listen on loopback only."""
    with _on_loopback():
        made = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 0, "object_store_memory": STORE, "memory": 1, "include_dashboard": False},
        )
        try:
            for _ in range(workers):
                add_worker(made)
            yield made
        finally:
            made.shutdown()


def add_worker(to: Cluster) -> Any:
    """Adds a node with room for one engine; returns once it is ready."""
    return to.add_node(num_cpus=1, object_store_memory=STORE, memory=MEMORY)


def kill_node(node: Any) -> None:
    """`kill -9` of all processes of a node: raylet, agents, workers."""
    processes = [process.process for kind in node.all_processes.values() for process in kind]
    everything = [child for each in processes for child in _tree(each.pid)]
    for process in everything:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(everything, timeout=10)


def _tree(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def engines_on(node: Any) -> int:
    """How many trial actors a node runs."""
    raylets = node.all_processes.get("raylet", [])
    return sum("ResourceTrainable" in " ".join(_cmdline(each)) for p in raylets for each in _tree(p.process.pid))


def _cmdline(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def joined(folder: Path, to: Cluster, **fields: Any) -> FaultRun:
    """A search that joins a cluster."""
    environment = {"RAY_ADDRESS": to.address, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    return FaultRun(folder, fields, environment)


def lose_a_worker(folder: Path) -> FaultRun:
    """Kills one of two nodes; another comes."""
    with cluster(2) as nodes:
        run = joined(folder / "run", nodes)
        run.start()
        run.wait_for_results(6)
        printed = len(run.log)
        run.inject(lambda: kill_node(sorted(nodes.worker_nodes, key=engines_on)[-1]))
        add_worker(nodes)
        run.time_retry(printed)
        _finish(run)
    return run


def lose_the_head(folder: Path) -> FaultRun:
    """Kills the head, and so the cluster; the run goes on in a new one."""
    with cluster(1) as nodes:
        run = joined(folder / "run", nodes)
        run.start()
        run.wait_for_results(6)
        run.inject(lambda: kill_node(nodes.head_node))
        run.finish()
    with cluster(2) as nodes:
        run.environment["RAY_ADDRESS"] = nodes.address
        run.start()
        run.time_recovery()
        _finish(run)
    return run


def add_a_node(folder: Path) -> tuple[FaultRun, dict[str, float]]:
    """Adds a node after a third of the trials.

    Returns:
        The run, and the seconds until the node had an engine's process and until the second engine had scored a trial,
        and results a minute before and after.
    """
    with cluster(1) as nodes:
        # All alike and of one kind, for the throughput: no parts, and no sampler to wait for.
        run = joined(folder / "run", nodes, trials=60, sampler="random", early_stopping=False)
        run.start()
        run.wait_for_results(5)
        start, first = time.monotonic(), run.results
        run.wait_for_results(15)
        before = (run.results - first) / (time.monotonic() - start) * 60
        run.inject(lambda: None)
        node = add_worker(nodes)
        ready = time.monotonic()
        run.wait_for(lambda: engines_on(node) > 0)
        used = time.monotonic() - ready
        time.sleep(25)  # while its engine starts, on the cores of the other
        start, first = time.monotonic(), run.results
        run.wait_for_results(15)
        after = (run.results - first) / (time.monotonic() - start) * 60
        _finish(run)
    return run, {"seconds until used": used, "results a minute before": before, "after": after}


def _finish(run: FaultRun) -> None:
    if code := run.finish():
        raise RuntimeError(f"exit code {code}; the end of the log:\n{run.log[-2000:]}")


def quiet() -> None:
    """Keeps Ray's messages of lost nodes out of the table."""
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    ray.logger.setLevel(logging.CRITICAL)
