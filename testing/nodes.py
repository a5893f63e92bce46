"""Nodes that come and go: Ray clusters of several local nodes, and searches that have joined them."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import psutil
import ray
from ray.cluster_utils import Cluster

from ama_ray.tuning.ray_internals import on_loopback
from testing.freezing import freeze_during_generation
from testing.search_process import ORDERLESS, FaultRun, end, engines_among, offspring

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STORE = 300 * 2**20
MEMORY = 8 * 2**30
MANY = 200
"""Trials of a search that goes on for as long as a second engine takes to start on the cores of the first."""


@contextmanager
def cluster(workers: int, store: int = STORE) -> Iterator[Cluster]:
    """A head without room for an engine, and nodes with room for one each; all listen on loopback only."""
    _quiet()
    with on_loopback():
        made = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 0, "object_store_memory": store, "memory": 1, "include_dashboard": False},
        )
        try:
            for _ in range(workers):
                add_worker(made, store)
            yield made
        finally:
            made.shutdown()


def add_worker(to: Cluster, store: int = STORE) -> Any:
    """Adds a node with room for one engine; returns once it is ready."""
    return to.add_node(num_cpus=1, object_store_memory=store, memory=MEMORY)


def kill_node(node: Any) -> None:
    """`kill -9` of all processes of a node: raylet, agents, workers."""
    processes = [process.process.pid for kind in node.all_processes.values() for process in kind]
    end([*(psutil.Process(pid) for pid in processes), *offspring(processes)])


def engines_on(node: Any) -> list[psutil.Process]:
    """The processes of the trial actors that a node runs."""
    return engines_among(offspring(process.process.pid for process in node.all_processes.get("raylet", [])))


def joined(folder: Path, to: Cluster, **fields: Any) -> FaultRun:
    """A search that joins a cluster."""
    environment = {"RAY_ADDRESS": to.address, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    return FaultRun(folder, fields, environment)


def lose_a_worker(folder: Path, seed: int) -> dict[str, FaultRun]:
    """Kills one of two nodes; another comes."""
    with cluster(2) as nodes:
        run = joined(folder, nodes, **ORDERLESS)
        run.start()
        run.wait_for_results(6)
        printed = len(run.log)
        engine = freeze_during_generation(run, partial(_engines, nodes))
        victim = next(node for node in nodes.worker_nodes if engine in engines_on(node))
        run.inject(lambda: kill_node(victim))
        add_worker(nodes)
        run.time_retry(printed)
        run.finish()
    return {"worker node: kill -9": run}


def _engines(nodes: Cluster) -> list[psutil.Process]:
    return [engine for node in nodes.worker_nodes for engine in engines_on(node)]


def lose_the_head(folder: Path, seed: int) -> dict[str, FaultRun]:
    """Kills the head, and so the cluster; the run goes on in a new one."""
    with cluster(1) as nodes:
        run = joined(folder, nodes)
        run.start()
        run.wait_for_results(6)
        run.inject(lambda: kill_node(nodes.head_node))
        began = time.monotonic()
        assert run.process
        code = run.process.wait()
        run.note = f"the driver ended {time.monotonic() - began:.0f} s after the head, with code {code}"
    with cluster(2) as nodes:
        run.environment["RAY_ADDRESS"] = nodes.address
        run.start()
        run.time_recovery()
        run.finish()
    return {"head: kill -9, and a new cluster": run}


def add_a_node(folder: Path, seed: int) -> dict[str, FaultRun]:
    """Adds a node after a third of the trials; notes when it had an engine, and results a minute before and after."""
    with cluster(1) as nodes:
        # All alike and of one kind, for the throughput: no parts, and no sampler to wait for.
        run = joined(folder, nodes, trials=MANY, **ORDERLESS)
        run.start()
        run.wait_for_results(10)
        before = _results_a_minute(run)
        node = add_worker(nodes)
        ready = time.monotonic()
        run.wait_for(lambda: engines_on(node))
        used = time.monotonic() - ready
        # Its engine has started by then, on the cores of the other.
        run.wait_for_results(60)
        run.note = f"used {used:.1f} s after it was ready; results a minute: {before:.1f} before, "
        run.note += f"{_results_a_minute(run):.1f} with both"
        run.finish()
    return {"none: a node is added": run}


def _results_a_minute(run: FaultRun, count: int = 50) -> float:
    start, first = time.monotonic(), run.results
    run.wait_for_results(count)
    return (run.results - first) / (time.monotonic() - start) * 60


def _quiet() -> None:
    """Keeps Ray's messages of lost nodes out of the table."""
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    ray.logger.setLevel(logging.CRITICAL)
