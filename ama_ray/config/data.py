"""Where items come from, and into which splits they go."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ama_ray.config.fields import File, Model

Split = Literal["search", "report"]
"""The search split is what the search sees; the report split is what only the final report sees."""

Evaluated = Literal[Split, "trade"]
"""What a model is asked in one trial: of the search split the items that every trial of the search sees, or the report
split, or as `trade` all items of the search split, which base and aligned alone are asked."""


class Source(Model):
    """A file of items; a fixed hash of each item says which of the two splits it belongs to.

    With `report_file`, `file` is the search split and `report_file` the report split; they may share no item.
    """

    file: File = Field(description="JSON lines, a row per item")
    report_file: File | None = Field(
        None, description="a second file: it is the report split, and all of `file` the search split"
    )
    items: int | None = Field(None, ge=1, description="at most so many of each split, drawn by the same hash")
