"""`ItemStore`: what every trial scored, item by item. A file of it may be damaged, or a stranger's."""

from __future__ import annotations

import logging
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ama_ray.errors import UserError, one_line
from ama_ray.reading import open_regular
from ama_ray.storage.files import replacing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from ama_ray.config import Evaluated
    from ama_ray.scores.objectives import Items

_UNPACKED = 2**32
"""Bytes that the items of a trial may have in memory."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ItemStore:
    """The `items` folder of a run: `search/17.npz` holds what trial 17 scored on the search split, item by item.

    Where trials of the search see a part of it, `trade` has base's and aligned's items of all of it, that part first.

    Attributes:
        folder: The folder.
        sources: The rewards and probes that every trial has items of.
    """

    folder: Path
    sources: tuple[str, ...] = ()
    _first: dict[Evaluated, tuple[int, dict[str, tuple[int, ...]]]] = field(
        default_factory=dict, compare=False, repr=False
    )
    _told: set[str] = field(default_factory=set, compare=False, repr=False)

    def write(self, split: Evaluated, number: int, items: Items) -> None:
        """Writes the items of a trial, in one step."""
        path = self._path(split, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, "wb") as file:
            np.savez_compressed(file, allow_pickle=False, **items)

    def read(self, split: Evaluated, number: int) -> dict[str, NDArray[np.float64]]:
        """Reads the items of a trial: matrices of numbers, shaped as those of the first trial that was read.

        Raises:
            UserError: The trial was not scored on this split, its file cannot be read, or the items are not those of
                every trial.
        """
        path = self._path(split, number)
        try:
            items = _arrays(path)
        except FileNotFoundError:
            raise UserError(f"{path}: there is no such file; trial {number} has no items of this split.") from None
        except Exception as error:  # numpy and zipfile raise all sorts for a damaged archive
            raise UserError(f"{path}: not a readable file of items of trial {number} ({one_line(error)}).") from None
        if why := _why_odd(items, self.sources) or self._why_other(split, number, items):
            raise UserError(f"{path}: not the items of trial {number}: {why}.")
        return items

    def has(self, split: Evaluated, *numbers: int) -> bool:
        """Whether any trial has items of this split, and these trials do."""
        return (self.folder / split).is_dir() and all(self._path(split, number).is_file() for number in numbers)

    def read_if_whole(self, split: Evaluated, *numbers: int) -> dict[int, dict[str, NDArray[np.float64]]] | None:
        """The items of some trials; None where one has none, or a damaged file, which a warning tells."""
        if not self.has(split, *numbers):
            return None
        found = {}
        for number in numbers:
            try:
                found[number] = self.read(split, number)
            except UserError as error:
                if str(error) not in self._told:
                    self._told.add(str(error))
                    _log.warning("%s What needs the items of all trials is left out.", error)
        return found if len(found) == len(set(numbers)) else None

    def _why_other(self, split: Evaluated, number: int, items: Mapping[str, NDArray[np.float64]]) -> str:
        """How the shapes differ from those of the first trial that was read: all are scored on the same items."""
        shapes = {name: array.shape for name, array in items.items()}
        first, usual = self._first.setdefault(split, (number, shapes))
        if odd := [name for name in usual.keys() | shapes.keys() if usual.get(name) != shapes.get(name)]:
            ours, theirs = (list(each.get(min(odd), ())) or "none" for each in (shapes, usual))
            return f"of {min(odd)} it has the shape {ours}, and trial {first} has {theirs}"
        return ""

    def _path(self, split: Evaluated, number: int) -> Path:
        return self.folder / split / f"{number}.npz"


def _arrays(path: Path) -> dict[str, NDArray[np.float64]]:
    """All arrays of a file.

    Raises:
        Exception: Of whatever kind; the file is damaged, no archive, or larger than items are.
    """
    with open_regular(path) as file:
        with zipfile.ZipFile(file) as archive:
            if (size := sum(entry.file_size for entry in archive.infolist())) > _UNPACKED:
                raise ValueError(f"it unpacks to {size} bytes")
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)


def _why_odd(items: Mapping[str, NDArray[np.float64]], sources: tuple[str, ...]) -> str:
    if missing := [name for name in sources if name not in items]:
        return f"it has none of {missing[0]}"
    for name, array in items.items():
        if not isinstance(array, np.ndarray):  # of a member that is named as no array is
            return f"{name} is no array"
        if array.ndim != 2 or not array.size or array.dtype.kind not in "fiub":
            return f"{name} is no matrix of numbers, but {array.dtype} of shape {list(array.shape)}"
    return ""
