"""`cluster.yaml` and `deploy/rayjob.yaml`, checked as far as that goes without a cloud."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from ray._private.services import determine_plasma_store_config
from ray.autoscaler._private.util import prepare_config, validate_config

from ama_ray.tuning.cluster.memory import RUNTIME_ON_GPU

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).parents[1]


def test_ray_takes_cluster_yaml() -> None:
    config = prepare_config(yaml.safe_load((ROOT / "cluster.yaml").read_text()))
    validate_config(config)
    types = config["available_node_types"]
    assert types["head"]["resources"]["CPU"] == 0
    assert types["gpu"]["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"
    assert types["gpu"]["min_workers"] == 0 < types["gpu"]["max_workers"] <= config["max_workers"]
    starts = [*config["head_start_ray_commands"], *config["worker_start_ray_commands"]]
    assert all("RAY_AUTH_MODE=token" in command for command in starts if "ray start" in command)


MEMORY = {"m6i.4xlarge": 64, "g6.4xlarge": 64}
"""GiB of the machines that cluster.yaml names."""


def test_the_object_store_fits_into_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """By Ray's own check at its start: the store is larger than /dev/shm is by itself, so that is made larger first."""
    config = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    for commands in (config["head_start_ray_commands"], config["worker_start_ray_commands"]):
        (remount,) = [number for number, line in enumerate(commands) if "remount" in line]
        (start,) = [number for number, line in enumerate(commands) if "ray start" in line]
        assert remount < start
        gibibytes = re.search(r"size=(\d+)G /dev/shm", commands[remount])
        store = re.search(r"--object-store-memory=(\d+)", commands[start])
        assert gibibytes
        assert store
        assert _starts(int(store[1]), int(gibibytes[1]) * 2**30, monkeypatch)
        for node in config["available_node_types"].values():
            memory = MEMORY[node["node_config"]["InstanceType"]] * 2**30
            assert not _starts(int(store[1]), memory // 2, monkeypatch)
            # Beside a full store there is room for an engine, or for the driver, and the system.
            assert memory - int(store[1]) > 2 * RUNTIME_ON_GPU


def _starts(store: int, shared: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether Ray starts with such an object store where /dev/shm has so many bytes free."""
    monkeypatch.setattr("ray._private.utils.get_shared_memory_bytes", lambda: shared)
    monkeypatch.setattr("ray._common.utils.get_system_memory", lambda: 10**12)
    try:
        directory, _, _ = determine_plasma_store_config(store, tempfile.gettempdir())
    except ValueError:
        return False
    return bool(directory == "/dev/shm")


def test_the_ray_job_has_what_kuberay_asks_for() -> None:
    job: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "rayjob.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    spec = job["spec"]
    assert spec["entrypoint"].startswith("ama-ray search ")
    cluster = spec["rayClusterSpec"]
    assert cluster["enableInTreeAutoscaling"]
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in pod["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} == volumes
            assert container["resources"]["requests"] == container["resources"]["limits"]
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        (shared,) = [volume["emptyDir"] for volume in pod["volumes"] if volume["name"] == "shm"]
        assert int(group["rayStartParams"]["object-store-memory"]) < int(shared["sizeLimit"].removesuffix("Gi")) * 2**30
    (workers,) = cluster["workerGroupSpecs"]
    assert workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]
