"""Ray's own provider of nodes that are processes of this machine, for node types that say how much memory they have.

A module of its own, as the autoscaler imports it.
"""

from __future__ import annotations

from typing import Any

from ray.autoscaler._private.fake_multi_node.node_provider import FakeMultiNodeProvider


class Provider(FakeMultiNodeProvider):
    """Leaves memory out of what it starts a node with, where Ray refuses it; the node then has the machine's."""

    def create_node_with_resources_and_labels(
        self, node_config: dict[str, Any], tags: dict[str, str], count: int, resources: dict[str, float], labels: Any
    ) -> None:
        """Starts nodes."""
        rest = {kind: amount for kind, amount in resources.items() if kind != "memory"}
        super().create_node_with_resources_and_labels(node_config, tags, count, rest, labels)
