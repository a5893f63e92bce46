"""Where items come from, and into which splits they go."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from ama_ray.config.fields import CheckpointSource, File, Model

Split = Literal["search", "report"]
"""The search split is what the search sees; the report split is what only the final report sees."""

Evaluated = Literal[Split, "trade"]
"""What a model is asked in one trial: of the search split the items that every trial of the search sees, or the report
split, or as `trade` all items of the search split, which base and aligned alone are asked."""


class HubDataset(Model):
    """A dataset of the Hugging Face hub, or a folder of parquet, CSV or JSON files, in the place of a file of rows.

    `prompts: {file: {dataset: org/name, split: train}, field: question}` takes its prompts from there. The name of the
    split counts as that of a file: items of a `test` split are refused as search items.
    """

    dataset: CheckpointSource = Field(description="what `datasets.load_dataset` reads")
    name: str | None = Field(None, description="of the configuration, where there are several")
    split: str = Field("train", min_length=1, description="as `load_dataset` takes it, also `train[:2000]`")
    revision: str | None = Field(None, description="branch, tag or commit, on the hub")


def _tag(value: Any) -> str:
    return "dataset" if isinstance(value, Mapping | HubDataset) else "file"


RowsSource = Annotated[Annotated[File, Tag("file")] | Annotated[HubDataset, Tag("dataset")], Discriminator(_tag)]
"""A file of JSON lines, a row per item, or a dataset."""


class Source(Model):
    """A file of items; a fixed hash of each item says which of the two splits it belongs to.

    With `report_file`, `file` is the search split and `report_file` the report split; they may share no item. Either
    may be a [dataset](#datasets) of the hub.
    """

    file: RowsSource = Field(description="JSON lines, a row per item")
    report_file: RowsSource | None = Field(
        None, description="a second file: it is the report split, and all of `file` the search split"
    )
    items: int | None = Field(None, ge=1, description="at most so many of each split, drawn by the same hash")

    @property
    def search_name(self) -> str:
        """What tells whether the search items are of a benchmark's test split: the name of the file, or the split."""
        return self.file.name if isinstance(self.file, Path) else self.file.split
