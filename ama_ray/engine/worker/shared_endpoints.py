"""`Endpoints` in memory that all engines of a node share: the part of them that one of several GPUs has."""

from __future__ import annotations

import json
from dataclasses import astuple
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from ama_ray.engine.endpoints import AS_INTEGERS, Endpoints, Span, StoredTensor

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterable, Mapping
    from typing import BinaryIO

End = Literal["base", "aligned"]

ALIGNMENT = 64
"""Bytes at whose multiples tensors begin."""
LENGTH = 8
"""Bytes at the end that hold the length of the index before them."""


def write(
    file: BinaryIO, spans: Mapping[str, tuple[Span, ...]], tensors: Iterable[tuple[End, str, StoredTensor]]
) -> None:
    """Writes tensors one after another, as they come, then an index of them.

    Args:
        file: At its beginning.
        spans: `Endpoints.spans`.
        tensors: Each with the endpoint that it is of, and its name.
    """
    index: dict[End, dict[str, tuple[str, int, int]]] = {"base": {}, "aligned": {}}
    for end, name, stored in tensors:
        file.write(bytes(-file.tell() % ALIGNMENT))
        index[end][name] = str(stored.dtype).removeprefix("torch."), file.tell(), stored.array.size
        file.write(stored.array.data)
    of_spans = {name: [astuple(span) for span in of_one] for name, of_one in spans.items()}
    encoded = json.dumps({"spans": of_spans, **index}).encode()
    file.write(encoded + len(encoded).to_bytes(LENGTH))


def read(memory: mmap.mmap) -> Endpoints:
    """The endpoints that `write` wrote: views of the memory, which is kept as long as any of them is."""
    stop = len(memory) - LENGTH
    index: dict[str, Any] = json.loads(memory[stop - int.from_bytes(memory[stop:]) : stop])

    def tensors(end: End) -> dict[str, StoredTensor]:
        return {name: _view(memory, *where) for name, where in index[end].items()}

    spans = {name: tuple(Span(*span) for span in of_one) for name, of_one in index["spans"].items()}
    return Endpoints(tensors("base"), tensors("aligned"), spans)


def _view(memory: mmap.mmap, name: str, offset: int, size: int) -> StoredTensor:
    dtype: torch.dtype = getattr(torch, name)
    as_numpy = str(AS_INTEGERS.get(dtype, dtype)).removeprefix("torch.")
    return StoredTensor(np.frombuffer(memory, as_numpy, size, offset), dtype)
