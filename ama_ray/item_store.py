"""The items of every trial on disk, one small file each, so that points can be compared item by item later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ama_ray.errors import UserError
from ama_ray.files import replacing

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from ama_ray.config import Split
    from ama_ray.objectives import Items


@dataclass(frozen=True)
class ItemStore:
    """The `items` folder of a run: `search/17.npz` holds what trial 17 scored on the search split, item by item."""

    folder: Path

    def write(self, split: Split, number: int, items: Items) -> None:
        """Writes the items of a trial, in one step."""
        path = self._path(split, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, "wb") as file:
            np.savez_compressed(file, allow_pickle=False, **items)

    def read(self, split: Split, number: int) -> dict[str, NDArray[np.float64]]:
        """Reads the items of a trial.

        Raises:
            UserError: The trial was not scored on this split, or its file cannot be read.
        """
        path = self._path(split, number)
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return dict(arrays)
        except FileNotFoundError:
            raise UserError(f"{path}: there is no such file; trial {number} has no items of this split.") from None
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: not a readable file of items ({error}).") from None

    def _path(self, split: Split, number: int) -> Path:
        return self.folder / split / f"{number}.npz"
