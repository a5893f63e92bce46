"""`Slots`: how many engines run side by side, as nodes come and go."""

from __future__ import annotations

import math
import os
import time
from typing import TYPE_CHECKING

import ray

from ama_ray.errors import UserError
from ama_ray.rewards.model import ModelReward
from ama_ray.tuning.cluster.autoscaling import wait_for_node
from ama_ray.tuning.ray_internals import autoscaled_nodes, autoscaled_resources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ama_ray.config import EngineSettings, RunConfig

LOOK_EVERY = 1.0
"""Seconds between two looks at the nodes of the cluster."""


def engine_resources(settings: EngineSettings, memory: int = 0) -> dict[str, float]:
    """What one engine takes from its node: CPUs as set, GPUs as set or one where the cluster has any, and memory.

    A server has its own GPUs.
    """
    gpus = 0 if settings.url else settings.gpus
    if gpus is None:
        gpus = int(_most("GPU") > 0)
    return {"CPU": settings.cpus, "GPU": gpus, "memory": memory}


def _most(kind: str) -> float:
    """What the cluster has of a resource, or could have with the nodes that an autoscaler could start."""
    return float(max(ray.cluster_resources().get(kind, 0), autoscaled_resources().get(kind, 0)))


class Slots:
    """How many engines can run side by side: it is called again and again, as nodes come and go.

    As many as fit on the nodes, or on those that an autoscaler could start, but of more than two at most a quarter of
    the trials that the sampler chooses, since it knows nothing of the trials beside a new one.

    Attributes:
        want: What one engine takes, by kind of resource.
        most: The most engines, however many nodes there are.
        waiting: How many trials may wait for an engine, so that the next ratios are known while all engines work. With
            servers it is 0, as Ray does not know how many there are, and would start a process for each trial.
        nodes: How many nodes were alive at the last look.
    """

    def __init__(self, config: RunConfig, memory: int = 0, tell: Callable[[str], None] = lambda line: None) -> None:
        """Looks at the cluster; where it has been joined and no node has room, waits for one that has.

        Args:
            config: The run file.
            memory: Bytes that one engine takes.
            tell: Called with a line of text where it waits.

        Raises:
            UserError: No node has room for one engine, and none comes.
        """
        self.want = {kind: amount for kind, amount in engine_resources(config.engine, memory).items() if amount}
        # Replicas of reward models have their part.
        models = [reward for reward in config.reward if isinstance(reward, ModelReward)]
        self._taken = {"CPU": sum(r.replicas * r.cpus for r in models), "GPU": sum(r.replicas * r.gpus for r in models)}
        servers = len(config.engine.url)
        self.most = min(max(2, (config.trials - config.first_points) // 4), servers or config.trials)
        self.waiting = 0 if servers else 1
        self.nodes = 1
        self._looked = -math.inf
        if self._fit() or self._could_fit():
            return
        needs = " and ".join(_amount(kind, amount) for kind, amount in self.want.items())
        if "RAY_ADDRESS" not in os.environ or not wait_for_node(self.want, needs, tell):
            raise UserError(
                f"engine: no node of the Ray cluster has the {needs} of one engine; lower engine.cpus, gpus or "
                "kv_cache_gib."
            )

    def __call__(self) -> int:
        """Counts the engines that have room now or could have it: at least one, which may have to wait for a node."""
        if time.monotonic() - self._looked > LOOK_EVERY:
            self.nodes = sum(bool(node["Alive"]) for node in ray.nodes())
            self._now, self._looked = max(1, min(max(self._fit(), self._could_fit()), self.most)), time.monotonic()
        return self._now

    @property
    def of_several_nodes(self) -> bool:
        """Whether there are other nodes than one, or could be."""
        return len([node for node in ray.nodes() if node["Alive"]]) > 1 or self._could_fit() > 0

    def _fit(self) -> int:
        """How many engines fit on the nodes that are alive."""
        return self._on([(node["Resources"], 1) for node in ray.nodes() if node["Alive"]], ray.cluster_resources())

    def _could_fit(self) -> int:
        """How many engines fit on the nodes that an autoscaler could start."""
        return self._on(autoscaled_nodes(), autoscaled_resources())

    def _on(self, nodes: Iterable[tuple[Mapping[str, float], float]], together: Mapping[str, float]) -> int:
        """How many engines fit, each on a node of its own choice.

        Args:
            nodes: The resources of one node, and how many such nodes there are.
            together: The resources of all of them, of which reward models take their part.
        """
        by_node = sum(count * self._times(resources) for resources, count in nodes if count)
        left = {kind: together.get(kind, 0) - self._taken.get(kind, 0) for kind in self.want}
        return int(max(0, min(by_node, self._times(left))))

    def _times(self, resources: Mapping[str, float]) -> int:
        """How often these hold what one engine takes."""
        return min(int(resources.get(kind, 0) // amount) for kind, amount in self.want.items())


def _amount(kind: str, amount: float) -> str:
    return f"{amount / 1e9:.1f} GB of memory" if kind == "memory" else f"{amount:g} {kind}s"
