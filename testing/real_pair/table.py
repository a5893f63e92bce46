"""A table of what merges score, item by item, so that searches can be tried on it without an engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ama_ray.errors import UserError
from testing.real_pair.points import points

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from ama_ray.scores.objectives import Items
    from testing.real_pair.points import Point

_GROUPS, _RATIOS, _MOVED = "groups", "ratios", "moved"


@dataclass(frozen=True)
class Table:
    """What was measured, in the order in which it was measured.

    Attributes:
        groups: The names of the ratios.
        names: Of the points.
        ratios: Shape (points, groups).
        moved: How far each group is from base to aligned, shape (groups,).
        items: By name of a reward or probe; see `ama_ray.scores.objectives.Items`, with one axis more in front: shape
            (points, items, columns).
    """

    groups: tuple[str, ...]
    names: tuple[str, ...]
    ratios: NDArray[np.float64]
    moved: NDArray[np.float64]
    items: Mapping[str, NDArray[np.float64]]

    @classmethod
    def read(cls, folder: Path) -> Table:
        """Reads the points that there are.

        Raises:
            UserError: There are none.
        """
        found = {file.stem: dict(np.load(file)) for file in sorted(folder.glob("*.npz"))}
        if not found:
            raise UserError(f"{folder}: has no points; run `python -m benchmarks.real_pair table`.")
        first = next(iter(found.values()))
        order = [point.name for point in points(len(first[_GROUPS])) if point.name in found]

        def stacked(key: str) -> NDArray[np.float64]:
            return np.stack([found[name][key] for name in order])

        items = {key: stacked(key) for key in first if key not in (_GROUPS, _RATIOS, _MOVED)}
        return cls(tuple(map(str, first[_GROUPS])), tuple(order), stacked(_RATIOS), first[_MOVED], items)


def file_of(folder: Path, point: Point) -> Path:
    """Where a point is kept."""
    return folder / f"{point.name}.npz"


def write(folder: Path, moved: Mapping[str, float], point: Point, items: Items) -> None:
    """Keeps a point; its file appears when it is whole.

    Args:
        folder: Of the table.
        moved: How far each group is from base to aligned, by name.
        point: What was measured.
        items: What it scored.
    """
    known = {_GROUPS: np.array([*moved]), _RATIOS: np.array(point.ratios), _MOVED: np.array([*moved.values()])}
    partial = file_of(folder, point).with_suffix(".partial")
    with partial.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **known, **items)
    partial.rename(file_of(folder, point))
