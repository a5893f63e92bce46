"""`wait_for_node`: asks for a node with room for an engine, which an autoscaler hears, and waits for it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ray.util.placement_group import placement_group, remove_placement_group

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LONGEST_WAIT = 900.0
"""Seconds in which a node must have come; machines with GPUs take minutes in a cloud."""


def wait_for_node(want: Mapping[str, float], needs: str, tell: Callable[[str], None]) -> bool:
    """Waits until a node of the cluster has room for one engine.

    Ray does not say whether there is an autoscaler, nor what it could start: what waits for resources is how one asks.

    Args:
        want: What an engine takes, by kind of resource.
        needs: The same in words.
        tell: Called with a line of text.

    Returns:
        Whether one has come.
    """
    tell(f"no node has the {needs} of one engine; waiting for one, {LONGEST_WAIT / 60:.0f} minutes at most")
    group, began = placement_group([dict(want)]), time.monotonic()
    try:
        while not group.wait(1):
            if time.monotonic() - began > LONGEST_WAIT:
                return False
        return True
    finally:
        remove_placement_group(group)
