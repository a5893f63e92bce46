"""`Endpoints` in memory that all engines of a node share: the part of them that one of several GPUs has."""

from __future__ import annotations

import json
from dataclasses import astuple
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ama_ray.engine.endpoints import AS_INTEGERS, Endpoints, Span, StoredTensor

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterable, Mapping, Sequence
    from typing import BinaryIO

ALIGNMENT = 64
"""Bytes at whose multiples tensors begin."""
LENGTH = 8
"""Bytes at the end that hold the length of the index before them."""


def write(
    file: BinaryIO,
    spans: Sequence[Mapping[str, tuple[Span, ...]]],
    tensors: Iterable[tuple[int, str, StoredTensor]],
) -> None:
    """Writes tensors one after another, as they come, then an index of them.

    Args:
        file: At its beginning.
        spans: `Endpoints.spans`.
        tensors: Each with the endpoint that it is of, 0 for base and from 1 on the aligned models, and its name.
    """
    index: list[dict[str, tuple[str, int, int]]] = [{} for _ in (0, *spans)]
    for end, name, stored in tensors:
        file.write(bytes(-file.tell() % ALIGNMENT))
        index[end][name] = str(stored.dtype).removeprefix("torch."), file.tell(), stored.array.size
        file.write(stored.array.data)
    of_spans = [{name: [astuple(span) for span in of_one] for name, of_one in of.items()} for of in spans]
    encoded = json.dumps({"spans": of_spans, "tensors": index}).encode()
    file.write(encoded + len(encoded).to_bytes(LENGTH))


def read(memory: mmap.mmap) -> Endpoints:
    """The endpoints that `write` wrote: views of the memory, which is kept as long as any of them is."""
    stop = len(memory) - LENGTH
    index: dict[str, Any] = json.loads(memory[stop - int.from_bytes(memory[stop:]) : stop])

    base, *aligned = ({name: _view(memory, *where) for name, where in of.items()} for of in index["tensors"])
    spans = [{name: tuple(Span(*span) for span in of_one) for name, of_one in of.items()} for of in index["spans"]]
    return Endpoints(base, aligned, spans)


def _view(memory: mmap.mmap, name: str, offset: int, size: int) -> StoredTensor:
    dtype: torch.dtype = getattr(torch, name)
    as_numpy = str(AS_INTEGERS.get(dtype, dtype)).removeprefix("torch.")
    return StoredTensor(np.frombuffer(memory, as_numpy, size, offset), dtype)
