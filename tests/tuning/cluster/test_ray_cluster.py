"""A Ray of our own, started for real."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psutil
import pytest
import ray

from ama_ray.config import RunConfig
from ama_ray.errors import UserError
from ama_ray.miniature import ROOT
from ama_ray.tuning.cluster.ray_cluster import ray_cluster
from ama_ray.tuning.cluster.slots import Slots
from testing.nodes import add_worker, cluster

if TYPE_CHECKING:
    from collections.abc import Callable

GIB = 2**30

pytestmark = pytest.mark.engine


def test_our_own_ray_listens_on_loopback_only_and_ends_with_the_run(caplog: pytest.LogCaptureFixture) -> None:
    level = caplog.handler.level
    others = set(psutil.Process().children(recursive=True))
    with ray_cluster():
        children = [child for child in psutil.Process().children(recursive=True) if child not in others]
        listening = [
            connection.laddr.ip
            for process in [psutil.Process(), *children]
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert any("raylet" in process.name() for process in children)
        assert listening
        assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}
    assert not ray.is_initialized()
    assert caplog.handler.level == level  # a caller's own handler is left as it was
    psutil.wait_procs(children, timeout=20)
    assert not [process for process in children if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def test_a_ray_that_is_connected_already_is_used_and_left_running() -> None:
    ray.init(address="local", include_dashboard=False, log_to_driver=False, num_cpus=1)
    try:
        with ray_cluster():
            assert ray.cluster_resources()["CPU"] == 1
            for engine in ({"cpus": 2}, {"gpus": 1}):
                with pytest.raises(UserError, match="no node of the Ray cluster has the"):
                    Slots(RunConfig.load(ROOT / "run.yaml", engine=engine))
            assert Slots(RunConfig.load(ROOT / "run.yaml"))() == 1
        assert ray.is_initialized()
    finally:
        ray.shutdown()


def test_the_number_of_engines_follows_the_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ama_ray.tuning.cluster.slots.LOOK_EVERY", 0.0)
    monkeypatch.setattr("ama_ray.tuning.cluster.autoscaling.LONGEST_WAIT", 1.0)
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    config = RunConfig.load(ROOT / "run.yaml")
    with cluster(0) as nodes:
        monkeypatch.setenv("RAY_ADDRESS", nodes.address)
        with ray_cluster():
            with pytest.raises(UserError, match="no node of the Ray cluster has the"):
                Slots(config, GIB)
            first = add_worker(nodes)
            slots = Slots(config, GIB)
            assert (slots(), slots.of_several_nodes) == (1, True)
            add_worker(nodes)
            assert slots() == 2
            nodes.remove_node(first)
            wait_for(lambda: slots() == 1)


def wait_for(ready: Callable[[], bool], limit: float = 30) -> None:
    start = time.monotonic()
    while not ready():
        assert time.monotonic() - start < limit
        time.sleep(0.1)
