"""Starting Ray on this machine, or joining the cluster that `RAY_ADDRESS` names."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import ray
from ray._private import ray_constants

from ama_ray.config import FIRST_RATIOS, ModelReward
from ama_ray.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ama_ray.config import Engine, RunConfig

_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@contextmanager
def ray_cluster(object_store: int | None = None) -> Iterator[None]:
    """Ray for the duration of a run: the one already connected, the one at `RAY_ADDRESS`, or one of our own.

    One of our own listens on loopback only and ends with the run.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if ray.is_initialized():
        yield
        return
    if "RAY_ADDRESS" in os.environ:
        try:
            ray.init(log_to_driver=False, logging_level=logging.ERROR)
        except ConnectionError as error:
            raise UserError(f"RAY_ADDRESS: there is no Ray cluster at {os.environ['RAY_ADDRESS']}.") from error
    else:
        with _on_loopback():
            ray.init(
                address="local",
                include_dashboard=False,
                object_store_memory=object_store,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Ray's own switch for machines that are no cluster; without it, Ray listens on every interface of a Linux machine.

    The switch is a constant that Ray reads from an environment variable when it is imported, which has happened by now;
    and it must not stay on, as this process may join a cluster later.
    """
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def engine_resources(settings: Engine, memory: int = 0) -> dict[str, float]:
    """What one engine takes from its node: CPUs as set, GPUs as set or one where the cluster has any, and memory."""
    gpus = settings.gpus if settings.gpus is not None else int(ray.cluster_resources().get("GPU", 0) > 0)
    return {"CPU": settings.cpus, "GPU": gpus, "memory": memory}


def engine_slots(config: RunConfig, memory: int = 0) -> int:
    """How many engines run side by side.

    As many as fit on the nodes, but of more than two at most a quarter of the trials that the sampler chooses, since
    it knows nothing of the trials beside a new one.

    Args:
        config: The run.
        memory: Bytes that one engine takes.

    Raises:
        UserError: No node has room for one engine.
    """
    want = {kind: amount for kind, amount in engine_resources(config.engine, memory).items() if amount}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    fit = sum(min(int(node.get(kind, 0) // amount) for kind, amount in want.items()) for node in nodes)
    # Replicas of reward models have their part.
    models = [reward for reward in config.reward if isinstance(reward, ModelReward)]
    taken = {"CPU": sum(r.replicas * r.cpus for r in models), "GPU": sum(r.replicas * r.gpus for r in models)}
    whole = ray.cluster_resources()
    fit = min(fit, *(int((whole.get(kind, 0) - taken.get(kind, 0)) // amount) for kind, amount in want.items()))
    if not fit:
        needs = " and ".join(_amount(kind, amount) for kind, amount in want.items())
        raise UserError(
            f"engine: no node of the Ray cluster has the {needs} of one engine; lower engine.cpus, gpus or "
            "kv_cache_gib."
        )
    return max(1, min(fit, max(2, (config.trials - len(FIRST_RATIOS)) // 4)))


def _amount(kind: str, amount: float) -> str:
    return f"{amount / 1e9:.1f} GB of memory" if kind == "memory" else f"{amount:g} {kind}s"
