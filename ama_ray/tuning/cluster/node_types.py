"""Whether a pair fits on the node types of a cluster file, and what a run takes there in node hours, by arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ama_ray.config.yaml_file import YamlFile
from ama_ray.engine.placement import Load
from ama_ray.errors import UserError
from ama_ray.tuning.cluster.planned_run import DEVICES, PLACES, PlannedRun, figure

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.evaluation.inputs import Inputs

ACCELERATOR = "accelerator_type:"
"""How Ray's resource begins whose end is the name of a node's GPU."""


MOST_WORKERS = 2
"""The most workers of a cluster whose file does not say; Ray's own default."""


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
    planned = PlannedRun.on(DEVICES[node.device], inputs, load)
    hours = planned.seconds / engines / 3600
    start = f"{node.most} may start" if node.most else "none starts, as its max_workers is 0"
    several = f"{engines} engine{'s' * (engines > 1)}"
    return (
        f"fits, with {PLACES[planned.engine.where]}; estimated by arithmetic: a trial of the search takes "
        f"{figure(planned.search)} s and the run {figure(hours)} node hours, with {several} on each node; {start}"
    )
