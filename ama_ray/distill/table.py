"""Distilled points as a table for the terminal, and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from ama_ray.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ama_ray.distill.distillation import Distilled

LEGEND = (
    "Of each group, the share of aligned. loss: mean of -log p over the tokens of the responses, in nats; it starts at "
    "the uniform point with this mean ratio. Neither reward nor tax is measured here."
)


def table(points: Sequence[Distilled]) -> Table:
    """A column for each point, as groups can be many.

    Args:
        points: At least one.
    """
    drawn = Table("mean ratio", box=box.SIMPLE_HEAD)
    for point in points:
        drawn.add_column(f"{point.mean_ratio:g}", justify="right")
    drawn.add_row("loss", *(f"{point.loss:.4f}" for point in points))
    drawn.add_row("at the start", *(f"{point.start_loss:.4f}" for point in points), end_section=True)
    for group in points[0].ratios:
        drawn.add_row(group, *(f"{point.ratios[group]:.3f}" for point in points))
    return drawn


def fields(points: Sequence[Distilled]) -> list[dict[str, Any]]:
    """The points as plain values for JSON."""
    return [asdict(point) for point in points]


def write(points: Sequence[Distilled], file: Path) -> None:
    """Writes a list of objects with the fields of `Distilled`.

    Raises:
        UserError: The file cannot be written.
    """
    try:
        file.write_text(json.dumps(fields(points), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"{file}: cannot be written ({error.strerror}); choose another file.") from None
