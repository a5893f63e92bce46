"""GPUs that Ray believes in: engines on them are processes on the CPU, as vLLM's build for CPUs runs them."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import ray

from ama_ray.tuning.cluster.ray_cluster import ray_cluster
from ama_ray.tuning.ray_internals import on_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def pretend_gpus(count: int) -> Iterator[None]:
    """A Ray of this process's own, which a search in it takes, with so many GPUs."""
    with on_loopback():
        ray.init(
            address="local",
            num_cpus=2,
            num_gpus=count,
            include_dashboard=False,
            object_store_memory=200 * 2**20,
            log_to_driver=False,
        )
    try:
        with ray_cluster():
            yield
    finally:
        ray.shutdown()


def rank_files(process: psutil.Process) -> dict[str, int]:
    """What a process shares by a name: the size in bytes of its part of both endpoints, by name."""
    found = {}
    with suppress(OSError, psutil.Error):
        for link in Path(f"/proc/{process.pid}/fd").iterdir():
            with suppress(OSError):
                target = os.readlink(link)  # noqa: PTH115 - no path
                if target.startswith("/memfd:ama_ray-"):
                    found[target.removeprefix("/memfd:").removesuffix(" (deleted)")] = link.stat().st_size
    return found


def shared_files(process: psutil.Process) -> set[Path]:
    """Files under /dev/shm that a process maps and that have a name still."""
    with suppress(psutil.Error):
        maps = (Path(each.path) for each in process.memory_maps())
        return {file for file in maps if file.is_relative_to("/dev/shm") and file.exists()}
    return set()
