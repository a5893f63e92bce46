"""`Endpoints`: base and aligned in the engine's own parameter layout, as they lie in Ray's object store."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch

Array = np.ndarray[tuple[int, ...], np.dtype[np.generic]]

_AS_INTEGERS = {torch.bfloat16: torch.uint16}
"""Dtypes that numpy lacks, stored as integers of the same size."""


@dataclass(frozen=True)
class Span:
    """Consecutive elements of one flattened parameter that share a group: `[start, end)`."""

    start: int
    end: int
    group: str


@dataclass(frozen=True)
class StoredTensor:
    """One parameter of one endpoint: flat, as a numpy array that the object store maps without a copy."""

    array: Array
    dtype: torch.dtype

    @classmethod
    def of(cls, tensor: torch.Tensor, narrow: torch.dtype) -> StoredTensor:
        """Stores a parameter in the checkpoint's dtype where that loses nothing, else in its own.

        So a float32 engine on bfloat16 checkpoints keeps half the bytes, and interpolates with the same rounding as
        the exported checkpoint: what is scored is what is exported.

        Args:
            tensor: A contiguous parameter of the live model, any shape.
            narrow: The dtype of the checkpoint on disk.
        """
        flat = tensor.detach().reshape(-1).cpu()
        if flat.dtype != narrow and narrow.itemsize <= flat.dtype.itemsize:
            narrowed = flat.to(narrow)
            if torch.equal(narrowed.to(flat.dtype), flat):
                flat = narrowed
        return cls(flat.view(_AS_INTEGERS.get(flat.dtype, flat.dtype)).numpy(), flat.dtype)

    def tensor(self) -> torch.Tensor:
        """The flat tensor over the same memory. Read only: an input, never an output."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            return torch.from_numpy(self.array).view(self.dtype)


@dataclass(frozen=True)
class Endpoints:
    """Both endpoints of a pair, and which group every element belongs to; all by parameter name of the engine."""

    base: dict[str, StoredTensor]
    aligned: dict[str, StoredTensor]
    spans: dict[str, tuple[Span, ...]]

    @property
    def num_bytes(self) -> int:
        """Bytes of both endpoints together."""
        return sum(t.array.nbytes for side in (self.base, self.aligned) for t in side.values())
