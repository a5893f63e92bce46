"""Datasets of the hub."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ama_ray.data.rows import Row
from ama_ray.errors import UserError, one_line

if TYPE_CHECKING:
    from ama_ray.probes.presets.base import Hub


def rows(hub: Hub, split: str) -> list[Row]:
    """The rows of a split.

    Raises:
        UserError: It cannot be fetched; names dataset and split.
    """
    # Heavy, and not needed where all items are in local files.
    import datasets

    name = " ".join(part for part in (hub.path, hub.name) if part)
    try:
        dataset = datasets.load_dataset(hub.path, hub.name, split=split, streaming=hub.streamed)
        fetched = [
            Row(dict(fields), f"{name}, {split}, row {number}") for number, fields in enumerate(dataset, start=1)
        ]
    except Exception as error:  # of the network, the hub, the file system or the dataset
        raise UserError(
            f"{name}, {split}: this dataset cannot be fetched from the hub ({one_line(error)}); name a local copy with "
            "`file:`."
        ) from error
    if not fetched:
        raise UserError(f"{name}, {split}: this dataset has no rows; name a local copy with `file:`.")
    return fetched
