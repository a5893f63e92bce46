"""Rows of datasets, from the hub or from folders that `datasets` reads as it reads the hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from ama_ray.data.rows import Row, read_jsonl
from ama_ray.errors import UserError, one_line

if TYPE_CHECKING:
    from ama_ray.config.data import HubDataset


def read_rows(source: Path | HubDataset) -> list[Row]:
    """Reads what a run file names as its rows: a file of JSON lines, or a dataset.

    Raises:
        UserError: It is missing, empty or malformed, or holds what no JSON does, such as pictures.
    """
    if isinstance(source, Path):
        return read_jsonl(source)
    found = rows(source)
    for row in found:
        try:
            json.dumps(row.fields, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise UserError(
                f"{row.where}: rows are texts, finite numbers, lists and mappings ({one_line(error)}); name a dataset "
                "or a file without the rest."
            ) from None
    return found


def rows(source: HubDataset, *, streamed: bool = False) -> list[Row]:
    """The rows of a dataset.

    Args:
        source: The dataset and its split.
        streamed: Whether only the split is fetched, at every run; otherwise all of the dataset is fetched and kept on
            disk.

    Raises:
        UserError: It cannot be fetched; names dataset and split.
    """
    # Heavy, and not needed where all items are in local files.
    import datasets

    where = " ".join(part for part in (source.dataset, source.name) if part) + f", {source.split}"
    try:
        dataset = datasets.load_dataset(
            source.dataset, source.name, split=source.split, revision=source.revision, streaming=streamed
        )
        fetched = [Row(dict(fields), f"{where}, row {number}") for number, fields in enumerate(dataset, start=1)]
    except Exception as error:  # of the network, the hub, the file system or the dataset
        raise UserError(
            f"{where}: this dataset cannot be fetched from the hub, or read ({one_line(error)}); check its name and "
            "split, or name a local copy with `file:`."
        ) from error
    if not fetched:
        raise UserError(f"{where}: this dataset has no rows; name another split, or a local copy with `file:`.")
    return fetched
