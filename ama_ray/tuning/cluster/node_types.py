"""Whether a pair fits on the node types of a cluster file, and what a run takes there in node hours, by arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ama_ray.config.yaml_file import YamlFile
from ama_ray.engine.placement import ON_ACCELERATOR, WORKING, Load, Place, decide
from ama_ray.engine.requests import Generation
from ama_ray.errors import UserError
from ama_ray.evaluation import work
from ama_ray.tuning.budget import TWINS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ama_ray.config import EngineSettings
    from ama_ray.engine.requests import Request
    from ama_ray.evaluation.inputs import Inputs

ACCELERATOR = "accelerator_type:"
"""How Ray's resource begins whose end is the name of a node's GPU."""


@dataclass(frozen=True)
class Device:
    """A GPU, by its maker's data sheet.

    Attributes:
        memory: Bytes, as it is sold.
        operations: Most floating-point operations per second in bfloat16, without sparsity.
        bandwidth: Most bytes per second between it and its memory.
    """

    memory: float
    operations: float
    bandwidth: float


DEVICES = {
    "A10G": Device(24e9, 70e12, 600e9),
    "L4": Device(24e9, 121e12, 300e9),
    "L40S": Device(48e9, 362e12, 864e9),
    "A100-40G": Device(40e9, 312e12, 1555e9),
    "A100-80G": Device(80e9, 312e12, 2039e9),
    "H100": Device(80e9, 989e12, 3350e9),
    "H200": Device(141e9, 989e12, 4800e9),
    "B200": Device(180e9, 2250e12, 8000e9),
}
"""By the name that Ray has for them (`ray.util.accelerators`); those of several builds as in servers (SXM)."""
COMPUTING = 0.4
"""Share of a GPU's most operations that an engine reaches: an assumption."""
READING = 0.6
"""Share of a GPU's most bytes per second that an engine reaches where it generates: an assumption."""
TOGETHER = 256
"""Most replies that are generated together where `engine.max_num_seqs` does not say: an assumption."""
STREAMING = 20e9
"""Bytes per second that a swap reads from host memory, on each GPU: an assumption."""
MOST_WORKERS = 2
"""The most workers of a cluster whose file does not say; Ray's own default."""
PLACES: dict[Place, str] = {
    "accelerator": "both endpoints on the GPU",
    "split": "base on the GPU, aligned streamed",
    "pinned": "both endpoints streamed",
    "object_store": "both endpoints streamed",
}
"""Where endpoints lie, in words."""


@dataclass(frozen=True)
class NodeType:
    """A kind of node with GPUs.

    Attributes:
        name: In the cluster file.
        device: The name of its GPUs.
        gpus: How many it has.
        most: The most such nodes that start.
    """

    name: str
    device: str
    gpus: int
    most: int

    def __str__(self) -> str:
        """Its name, and what it has."""
        return f"{self.name} ({self.gpus} x {self.device})"


@dataclass(frozen=True)
class Asked:
    """What is asked of an engine.

    Attributes:
        read: Tokens that it reads.
        generated: Tokens that it generates, at most.
        replies: In how many replies.
    """

    read: int
    generated: int
    replies: int

    @classmethod
    def of(cls, requests: Iterable[Request]) -> Asked:
        """Counts the requests of a trial."""
        requests = list(requests)
        replies = sum(request.n for request in requests if isinstance(request, Generation))
        return cls(sum(map(work.read, requests)), sum(map(work.generated, requests)), replies)


@dataclass(frozen=True)
class PlannedEngine:
    """An engine, as far as a trial's time is known without one.

    Attributes:
        device: Its GPUs.
        load: What the model takes of each of them.
        where: Where the endpoints lie.
        share: The share of a GPU's memory that is vLLM's.
        together: The most replies that are generated together.
    """

    device: Device
    load: Load
    where: Place
    share: float
    together: int = TOGETHER

    @classmethod
    def on(cls, device: Device, load: Load, settings: EngineSettings) -> PlannedEngine:
        """The engine of a run.

        Raises:
            UserError: The model does not fit.
        """
        where, share = decide(load, int(device.memory), settings.gpu_memory_utilization, settings.endpoints)
        return cls(device, load, where, share, settings.max_num_seqs or TOGETHER)

    def seconds(self, asked: Asked) -> float:
        """What a trial takes it.

        A token takes two operations for each parameter of 16 bits, and so one for each byte of the weights. A step that
        generates reads the weights, and half of the cache that replies as long as the context would fill.
        """
        weights, request = self.load.weights, self.load.request
        token = weights / (COMPUTING * self.device.operations)
        cache = self.share * self.device.memory - weights - WORKING
        side_by_side = max(1, min(self.together, asked.replies, cache // request if request else self.together))
        step = (weights + side_by_side * request / 2) / (READING * self.device.bandwidth)
        swap = (2 - sum(ON_ACCELERATOR[self.where])) * self.load.endpoint / STREAMING
        return swap + asked.read * token + asked.generated * max(token, step / side_by_side)


def read_node_types(path: Path) -> list[NodeType]:
    """The types of nodes with GPUs of a cluster file.

    Raises:
        UserError: It is not there, is no cluster file, has no node with a GPU, or one with a GPU that is not known.
    """
    try:
        held = YamlFile.read(path).value
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; give the file of a Ray cluster, such as cluster.yaml.") from None
    types = held.get("available_node_types") if isinstance(held, dict) else None
    if not isinstance(types, dict):
        raise UserError(f"{path}: has no available_node_types; give the file of a Ray cluster, such as cluster.yaml.")
    found = [
        _node_type(path, name, fields, _most(held, name, fields))
        for name, fields in types.items()
        if _resources(fields).get("GPU")
    ]
    if not found:
        raise UserError(f"{path}: no node type has a GPU; give one `resources: {{GPU: 1, {ACCELERATOR}L4: 1}}`.")
    return found


def _resources(fields: Any) -> dict[str, Any]:
    resources = fields.get("resources") if isinstance(fields, dict) else None
    return resources if isinstance(resources, dict) else {}


def _most(cluster: dict[str, Any], name: str, fields: dict[str, Any]) -> int:
    """How many nodes of a type may start, as Ray reads its file; the head always does."""
    is_head = name == cluster.get("head_node_type")
    unsaid = 0 if is_head else cluster.get("max_workers", MOST_WORKERS)
    return int(fields.get("max_workers", unsaid)) + is_head


def _node_type(path: Path, name: str, fields: dict[str, Any], most: int) -> NodeType:
    resources = _resources(fields)
    named = [each.removeprefix(ACCELERATOR) for each in resources if each.startswith(ACCELERATOR)]
    if len(named) != 1 or named[0] not in DEVICES:
        known = ", ".join(DEVICES)
        raise UserError(
            f"{path}: available_node_types.{name}: its resources must name its GPU, as `{ACCELERATOR}L4: 1`; known are "
            f"{known}."
        )
    return NodeType(name, named[0], int(resources["GPU"]), most)


def fits(inputs: Inputs, path: Path) -> list[str]:
    """A line for each type of node with a GPU: where the endpoints lie and what the run takes, or why it does not fit.

    Args:
        inputs: The run.
        path: The cluster file.

    Raises:
        UserError: The cluster file is off, or the pair fits on none of the nodes that may start.
    """
    settings = inputs.config.engine
    if settings.url or settings.gpus == 0:
        field = "engine.url" if settings.url else "engine.gpus"
        raise UserError(f"{field}: such a run takes no GPU of a cluster's nodes; leave --cluster out.")
    load = Load.of(inputs.pair.engine_folder, settings, inputs.context_length)
    lines, starts = [], False
    for node in read_node_types(path):
        try:
            lines.append(f"{node}: {_told(inputs, node, load)}")
            starts = starts or node.most > 0
        except UserError as error:
            lines.append(f"{node}: does not fit: {error}")
    if not starts:
        raise UserError(f"{path}: the pair fits on none of the nodes that may start.\n" + "\n".join(lines))
    return lines


def _told(inputs: Inputs, node: NodeType, load: Load) -> str:
    settings = inputs.config.engine
    engines = node.gpus // settings.ranks
    if not engines:
        raise UserError(f"engine.gpus: {settings.ranks} GPUs of one node share a model; this one has {node.gpus}.")
    engine = PlannedEngine.on(DEVICES[node.device], load, settings)
    config = inputs.config
    search, report, trade = (
        engine.seconds(Asked.of(inputs.evaluations[name].requests)) for name in ("search", "report", "trade")
    )
    # Base's answers come first on both splits.
    ends, reported = 1 + len(config.models), 1 + config.baseline_points + TWINS + config.report.points
    seconds = (1 + ends) * trade + (config.trials - ends) * search + reported * report
    hours = seconds / engines / 3600
    start = f"{node.most} may start" if node.most else "none starts, as its max_workers is 0"
    return (
        f"fits, with {PLACES[engine.where]}; estimated by arithmetic: a trial of the search takes {_figure(search)} s "
        f"and the run {_figure(hours)} node hours, with {engines} engine{'s' * (engines > 1)} on each node; {start}"
    )


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"
