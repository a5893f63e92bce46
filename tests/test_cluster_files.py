"""`cluster.yaml` and what is in `deploy/`, checked as far as that goes without a cloud."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray._private.services import determine_plasma_store_config
from ray.autoscaler._private.util import prepare_config, validate_config

from ama_ray.tuning.cluster.memory import RUNTIME_ON_GPU, SLACK

ROOT = Path(__file__).parents[1]


def test_ray_takes_cluster_yaml() -> None:
    config = prepare_config(yaml.safe_load((ROOT / "cluster.yaml").read_text()))
    validate_config(config)
    types = config["available_node_types"]
    assert types["head"]["resources"]["CPU"] == 0
    assert types["l4"]["min_workers"] == 0 < types["l4"]["max_workers"] <= config["max_workers"]
    assert types["h100x8"]["max_workers"] == 0, "nobody pays for eight H100 by an oversight"
    for node in (types["l4"], types["h100x8"]):
        assert node["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"
    starts = [*config["head_start_ray_commands"], *config["worker_start_ray_commands"]]
    assert all("RAY_AUTH_MODE=token" in command for command in starts if "ray start" in command)


def test_machines_have_a_python_and_a_driver() -> None:
    """Ray's own choice of an image is Ubuntu 18.04, which has neither for us."""
    types = yaml.safe_load((ROOT / "cluster.yaml").read_text())["available_node_types"]
    assert {node["node_config"]["ImageId"] for node in types.values()} == {"AMI"}


MEMORY = {"m6i.4xlarge": 64, "g6.4xlarge": 64, "p5.48xlarge": 2048}
"""GiB of the machines that cluster.yaml names."""
LARGEST_ON_L4 = 2 * 8_030_261_248 * 2 + SLACK
"""Bytes of the object store that a pair of 8B in bfloat16 takes."""


def test_the_object_store_fits_into_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """By Ray's own check at its start: the store is larger than /dev/shm is by itself, so that is made larger first."""
    config = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    for commands in (config["head_start_ray_commands"], config["worker_start_ray_commands"]):
        (remount,) = [number for number, line in enumerate(commands) if "remount" in line]
        (start,) = [number for number, line in enumerate(commands) if "ray start" in line]
        assert remount < start
        percent = re.search(r"size=(\d+)% /dev/shm", commands[remount])
        store_size = re.search(r"--object-store-memory=(\S.*?\)\)) ", commands[start])
        assert percent
        assert store_size
        for node in config["available_node_types"].values():
            memory = MEMORY[node["node_config"]["InstanceType"]] * 2**30
            shared = memory * int(percent[1]) // 100
            store = _in_shell(store_size[1], shared)
            assert store > LARGEST_ON_L4
            assert _starts(store, shared, monkeypatch)
            assert not _starts(store, memory // 2, monkeypatch)
            # Beside a full store there is room for the engines, or for the driver, and the system.
            engines = max(1, node["resources"].get("GPU", 0))
            assert memory - store > (engines + 1) * RUNTIME_ON_GPU


def _in_shell(expression: str, shared: int) -> int:
    """What the shell of a machine makes of it where /dev/shm has so many bytes free."""
    script = f"df() {{ printf '   Avail\\n%d\\n' {shared}; }}; echo {expression}"
    return int(subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True).stdout)


def test_the_shell_of_a_machine_takes_every_command() -> None:
    config = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    for commands in ("setup_commands", "head_start_ray_commands", "worker_start_ray_commands"):
        for line in config[commands]:
            subprocess.run(["bash", "-n", "-c", line], check=True)


def _starts(store: int, shared: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether Ray starts with such an object store where /dev/shm has so many bytes free."""
    monkeypatch.setattr("ray._private.utils.get_shared_memory_bytes", lambda: shared)
    monkeypatch.setattr("ray._common.utils.get_system_memory", lambda: 10**13)
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
        assert all(isinstance(value, str) for value in pod.get("nodeSelector", {}).values())
        (container,) = pod["containers"]
        memory = int(container["resources"]["limits"]["memory"].removesuffix("Gi")) * 2**30
        store = int(group["rayStartParams"]["object-store-memory"])
        engines = int(container["resources"]["limits"].get("nvidia.com/gpu", 1))
        # /dev/shm counts as memory of its pod.
        assert store > LARGEST_ON_L4
        assert memory - store > (engines + 1) * RUNTIME_ON_GPU
    small, large = cluster["workerGroupSpecs"]
    for workers in (small, large):
        assert workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]
    assert large["maxReplicas"] == 0 < small["maxReplicas"]


INSTRUCTIONS = {"FROM", "RUN", "WORKDIR", "COPY"}


def steps() -> list[tuple[str, str]]:
    """The instructions of deploy/Dockerfile, each with its arguments."""
    text = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    whole = "\n".join(lines).replace("\\\n", "").splitlines()
    return [(name, arguments) for name, _, arguments in (line.partition(" ") for line in whole)]


def copied() -> list[str]:
    """The files and folders that the image takes from the repository."""
    words = [shlex.split(arguments) for name, arguments in steps() if name == "COPY"]
    return [word for line in words for word in line[:-1] if not word.startswith("--")]


def test_every_step_of_the_image_parses() -> None:
    assert steps()[0][0] == "FROM"
    assert {name for name, _ in steps()} == INSTRUCTIONS
    for name, arguments in steps():
        assert arguments.strip()
        if name == "RUN":
            subprocess.run(["bash", "-n", "-c", arguments], check=True)


def test_every_file_that_the_image_copies_is_there() -> None:
    assert copied()
    for name in copied():
        assert (ROOT / name).is_dir() if name.endswith("/") else (ROOT / name).is_file()
        assert subprocess.run(["git", "ls-files", "--", name], cwd=ROOT, check=True, capture_output=True).stdout


@pytest.mark.long
def test_what_the_image_copies_makes_the_whole_package(tmp_path: Path) -> None:
    source, built = tmp_path / "source", tmp_path / "built"
    source.mkdir()
    for name in copied():
        if name.endswith("/"):
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source)
    for folder in (source, ROOT):
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built / folder.name)]
        subprocess.run(build, cwd=folder, check=True, capture_output=True)
    ours, whole = (
        {name for wheel in (built / folder.name).iterdir() for name in zipfile.ZipFile(wheel).namelist()}
        for folder in (source, ROOT)
    )
    assert ours == whole


def test_the_image_is_the_one_that_the_job_asks_for() -> None:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / "deploy" / "rayjob.yaml").read_text(encoding="utf-8")
    version = yaml.safe_load(text)["spec"]["rayClusterSpec"]["rayVersion"]
    image = re.fullmatch(r"rayproject/ray:([\d.]+)-py3(\d+)-gpu", steps()[0][1])
    assert image
    assert image[1] == version
    assert project["requires-python"] == ">=3.11,<3.14"
    assert 11 <= int(image[2]) < 14
    # The lock is made of what pyproject.toml allows.
    assert f"\nray=={version} " in (ROOT / "requirements.lock").read_text(encoding="utf-8")
    (install,) = [shlex.split(arguments) for _, arguments in steps() if arguments.startswith("pip install")]
    assert install[-2:] == [".[gpu]", f"ray=={version}"]
    assert "gpu" in project["optional-dependencies"]
    (made,) = set(re.findall(r"-t (\S+)", text + (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")))
    assert set(re.findall(r"image: (\S+)", text)) == {made}
    assert f"ray=={version}" in (ROOT / "cluster.yaml").read_text(encoding="utf-8")
