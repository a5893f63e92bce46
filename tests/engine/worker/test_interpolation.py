"""What a swap writes and what it leaves alone, on a live model that is a mere stand-in, without vLLM."""

from __future__ import annotations

import mmap
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import torch

from ama_ray.engine.endpoints import Endpoints, Span, StoredTensor
from ama_ray.engine.worker import interpolation
from ama_ray.engine.worker.interpolation import Piece, write
from ama_ray.engine.worker.swap_extension import SwapError, SwapExtension

if TYPE_CHECKING:
    from collections.abc import Iterable

SPANS = (Span(8, 16, "near"), Span(20, 32, "far"))
"""Of 32 elements; the others are equal in both endpoints."""


def attached(dtype: torch.dtype, live: torch.dtype) -> tuple[SwapExtension, torch.Tensor, torch.Tensor, torch.Tensor]:
    """An extension, base, aligned, and the live weights, which are aligned's."""
    draw = torch.Generator().manual_seed(0)
    base = torch.randn(32, generator=draw).to(dtype)
    aligned = base.clone()
    for span in SPANS:
        aligned[span.start : span.end] = torch.randn(span.end - span.start, generator=draw).to(dtype)
    model = torch.nn.Linear(32, 1, bias=False, dtype=live)
    model.weight.data.copy_(aligned)
    extension = SwapExtension()
    extension.device = torch.device("cpu")
    extension.model_runner = SimpleNamespace(get_model=lambda: model)
    endpoints = Endpoints(
        {"weight": StoredTensor.of(base, dtype)}, {"weight": StoredTensor.of(aligned, dtype, SPANS)}, {"weight": SPANS}
    )
    assert endpoints.num_bytes == (32 + 8 + 12) * dtype.itemsize
    extension.attach(endpoints, "object_store")
    return extension, base, aligned, model.weight.data.view(-1)


@pytest.mark.parametrize(
    ("dtype", "live"), [(torch.float32,) * 2, (torch.bfloat16,) * 2, (torch.bfloat16, torch.float32)]
)
def test_equal_tensors_are_stored_once_and_never_written(dtype: torch.dtype, live: torch.dtype) -> None:
    extension, base, aligned, weights = attached(dtype, live)
    ratios = {"near": 0.25, "far": 0.75}
    extension.swap(ratios)
    expected = base.clone()
    for span in SPANS:
        here = slice(span.start, span.end)
        expected[here] = torch.lerp(base[here], aligned[here], ratios[span.group])
    assert torch.equal(weights, expected.to(live))
    # What no span holds is verified all the same.
    weights[0] += 1
    with pytest.raises(SwapError, match="weight"):
        extension.verify(ratios)


def test_a_group_that_has_its_ratio_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    extension, _, _, weights = attached(torch.float32, torch.float32)
    written: list[str] = []

    def listed(pieces: Iterable[tuple[Piece, float]]) -> None:
        pairs = list(pieces)
        written.extend(piece.group for piece, _ in pairs)
        write(pairs)

    monkeypatch.setattr("ama_ray.engine.worker.swap_extension.write", listed)

    def groups_written(near: float, far: float) -> list[str]:
        written.clear()
        extension.swap({"near": near, "far": far})
        return list(written)

    assert groups_written(0.1, 0.2) == ["near", "far"]
    assert groups_written(0.1, 0.2) == []
    assert groups_written(0.1, 0.3) == ["far"]
    assert groups_written(0.5, 0.3) == ["near"]
    # After a swap that failed, nothing is known to be live.
    weights[3] += 1
    with pytest.raises(SwapError):
        groups_written(0.5, 0.4)
    weights[3] -= 1
    extension.swap({"near": 0.5, "far": 0.4})
    assert written == ["far", "near", "far"]


@pytest.mark.parametrize("size", [1, 2**18, 2**18 + 1, 3 * 2**18 + 5])
def test_another_precision_is_written_in_blocks(size: int) -> None:
    base, aligned = torch.randn(2, size, generator=torch.Generator().manual_seed(0)).bfloat16()
    live = torch.empty(size)
    write([(Piece("all", base, aligned, live), 0.3)])
    assert torch.equal(live, torch.lerp(base, aligned, 0.3).float())


def test_memory_is_locked_once_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for CUDA's runtime, which is not on every machine."""
    page = mmap.PAGESIZE
    locked: list[tuple[int, int]] = []

    def register(start: int, size: int, flags: int) -> int:
        locked.append((start, size))
        return 0 if size < 4 * page else 712

    monkeypatch.setattr(torch.cuda, "cudart", lambda: SimpleNamespace(cudaHostRegister=register))
    arrays = [
        SimpleNamespace(ctypes=SimpleNamespace(data=start), nbytes=size)
        for start, size in ((10 * page + 8, 100), (10 * page + 200, page), (20 * page, page), (30 * page, 0))
    ]
    interpolation.pin(arrays)  # type: ignore[arg-type]
    assert locked == [(10 * page, 2 * page), (20 * page, page)]
    with pytest.raises(RuntimeError, match="cannot lock"):
        interpolation.pin([SimpleNamespace(ctypes=SimpleNamespace(data=0), nbytes=5 * page)])  # type: ignore[list-item]
