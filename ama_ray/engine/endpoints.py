"""`Endpoints`: base and every aligned model in the engine's own parameter layout."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Array = np.ndarray[tuple[int, ...], np.dtype[np.generic]]

AT_ONCE = 2**22
"""Elements that `runs` looks at together, as the search for runs takes ten times their memory."""
AS_INTEGERS = {torch.bfloat16: torch.uint16}
"""Dtypes that numpy lacks, stored as integers of the same size."""


@dataclass(frozen=True)
class Span:
    """Consecutive elements of one flattened parameter that share a number: `[start, end)`."""

    start: int
    end: int
    number: str


@dataclass(frozen=True)
class StoredTensor:
    """One parameter of one endpoint: flat, as a numpy array that the object store maps without a copy."""

    array: Array
    dtype: torch.dtype

    @classmethod
    def of(cls, tensor: torch.Tensor, narrow: torch.dtype, spans: Sequence[Span] | None = None) -> StoredTensor:
        """Stores a parameter in the checkpoint's dtype where that loses nothing, else in its own.

        So a float32 engine on bfloat16 checkpoints keeps half the bytes, and interpolates with the same rounding as
        the exported checkpoint: what is scored is what is exported.

        Args:
            tensor: A contiguous parameter of the live model, any shape.
            narrow: The dtype of the checkpoint on disk.
            spans: Its elements to store, one span after another; all of them by default.

        Returns:
            A view of the parameter, or a copy where it is narrowed or spans leave something out.
        """
        flat = _narrowed(_inside(tensor, spans).cpu(), narrow)
        return cls(flat.view(AS_INTEGERS.get(flat.dtype, flat.dtype)).numpy(), flat.dtype)

    def tensor(self) -> torch.Tensor:
        """The flat tensor over the same memory. Read only: an input, never an output."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            return torch.from_numpy(self.array).view(self.dtype)


@dataclass(frozen=True)
class ResidentTensor:
    """One parameter of one endpoint, flat, kept where the live weights are."""

    values: torch.Tensor

    @classmethod
    def of(cls, tensor: torch.Tensor, narrow: torch.dtype, spans: Sequence[Span] | None = None) -> ResidentTensor:
        """Copies a parameter; see `StoredTensor.of`."""
        kept = _narrowed(_inside(tensor, spans), narrow)
        return cls(kept.clone() if kept.data_ptr() == tensor.data_ptr() else kept)

    @property
    def dtype(self) -> torch.dtype:
        """Of its elements."""
        return self.values.dtype

    def tensor(self) -> torch.Tensor:
        """The tensor itself."""
        return self.values


def _inside(tensor: torch.Tensor, spans: Sequence[Span] | None) -> torch.Tensor:
    """The elements of a contiguous tensor in spans, flat: a view where these leave nothing out."""
    flat = tensor.detach().reshape(-1)
    if spans is None or sum(span.end - span.start for span in spans) == len(flat):
        return flat
    return torch.cat([flat[:0], *(flat[span.start : span.end] for span in spans)])


def _narrowed(flat: torch.Tensor, narrow: torch.dtype) -> torch.Tensor:
    """A tensor in another dtype that is not wider, where that loses nothing."""
    if flat.dtype == narrow or narrow.itemsize > flat.dtype.itemsize:
        return flat
    narrowed = flat.to(narrow)
    return narrowed if torch.equal(narrowed.to(flat.dtype), flat) else flat


@dataclass(frozen=True)
class Endpoints:
    """The endpoints of a set of checkpoints; all by parameter name of the engine.

    Attributes:
        base: Whole parameters.
        aligned: Of every aligned model what is not equal to base: the elements in its spans, one span after another.
        spans: Of every aligned model, which number every element is merged by: ascending, without overlap. Spans of two
            models are the same stretch of elements, or have none in common.
    """

    base: Mapping[str, StoredTensor | ResidentTensor]
    aligned: Sequence[Mapping[str, StoredTensor | ResidentTensor]]
    spans: Sequence[Mapping[str, tuple[Span, ...]]]

    @property
    def each(
        self,
    ) -> list[tuple[Mapping[str, StoredTensor | ResidentTensor], Mapping[str, tuple[Span, ...]]]]:
        """What every aligned model has, and where."""
        return list(zip(self.aligned, self.spans, strict=True))

    @property
    def num_bytes(self) -> int:
        """Bytes of all of them together."""
        return sum(t.tensor().nbytes for side in (self.base, *self.aligned) for t in side.values())


def runs(tensor: torch.Tensor) -> list[tuple[float, int, int]]:
    """Stretches of equal elements of a flattened tensor: value, start, end."""
    values: list[float] = []
    counts: list[int] = []
    for part in torch.split(tensor.detach().reshape(-1), AT_ONCE):
        found, lengths = torch.unique_consecutive(part, return_counts=True)
        new_values, new_counts = found.tolist(), lengths.tolist()
        if values and new_values and values[-1] == new_values[0]:
            counts[-1] += new_counts.pop(0)
            new_values.pop(0)
        values += new_values
        counts += new_counts
    ends = list(itertools.accumulate(counts))
    return list(zip(values, [0, *ends], ends, strict=False))
