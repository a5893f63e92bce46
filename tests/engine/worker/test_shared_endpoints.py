"""Endpoints written into shared memory are the same when they are read, and views of it."""

from __future__ import annotations

import io
import mmap

import numpy as np
import pytest
import torch

from ama_ray.engine.endpoints import Span, StoredTensor
from ama_ray.engine.worker import shared_endpoints


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_what_is_written_is_read(dtype: torch.dtype) -> None:
    draw = torch.Generator().manual_seed(0)
    base = {name: torch.randn(size, generator=draw).to(dtype) for name, size in (("a", 7), ("b.weight", 130))}
    spans = {"a": (Span(0, 2, "one"), Span(4, 7, "two")), "b.weight": ()}
    aligned = {name: torch.randn(size, generator=draw).to(dtype) for name, size in (("a", 5), ("b.weight", 0))}
    file = io.BytesIO()
    tensors = ((end, name, t) for end, of_one in enumerate((base, aligned)) for name, t in of_one.items())
    shared_endpoints.write(file, [spans], ((end, name, StoredTensor.of(t, dtype)) for end, name, t in tensors))
    memory = mmap.mmap(-1, len(file.getvalue()))
    memory[:] = file.getvalue()
    read = shared_endpoints.read(memory)
    assert read.spans == [spans]
    for stored, found in ((base, read.base), (aligned, read.aligned[0])):
        assert found.keys() == stored.keys()
        assert all(torch.equal(found[name].tensor(), tensor) for name, tensor in stored.items())
        assert all(found[name].dtype == dtype for name in stored)
    whole = np.frombuffer(memory, np.uint8)
    assert all(np.shares_memory(whole, part.tensor().view(torch.uint8).numpy()) for part in read.base.values())
    assert all(part.tensor().data_ptr() % shared_endpoints.ALIGNMENT == 0 for part in read.base.values())
