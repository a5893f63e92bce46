"""A swap beyond aligned, on a live model that is a mere stand-in: the arithmetic and its verification, without vLLM."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from ama_ray.engine.endpoints import Endpoints, Span, StoredTensor
from ama_ray.engine.worker.swap_extension import SwapError, SwapExtension

SIZE = 4096
SPANS = (Span(0, SIZE // 2, "near"), Span(SIZE // 2, SIZE, "far"))


def attached(base: torch.Tensor, aligned: torch.Tensor, live: torch.dtype) -> tuple[SwapExtension, torch.Tensor]:
    model = torch.nn.Linear(SIZE, 1, bias=False, dtype=live)
    model.weight.data.copy_(aligned)
    extension = SwapExtension()
    extension.device = torch.device("cpu")
    extension.model_runner = SimpleNamespace(get_model=lambda: model)
    stored_base, stored_aligned = ({"weight": StoredTensor.of(each, each.dtype)} for each in (base, aligned))
    extension.attach(Endpoints(stored_base, (stored_aligned,), ({"weight": SPANS},)), "object_store")
    return extension, model.weight.data.view(-1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("ratio", [1.0, 1.1, 1.3, 1.75, 2.0])
def test_a_swap_beyond_aligned_is_written_and_verified(dtype: torch.dtype, ratio: float) -> None:
    draw = torch.Generator().manual_seed(0)
    base = torch.randn(SIZE, generator=draw).to(dtype)
    # Opposite signs are the worst for rounding, equal ones the usual.
    for aligned in (-base, torch.randn(SIZE, generator=draw).to(dtype), base * 1.01):
        extension, weights = attached(base, aligned, dtype)
        extension.swap({"near": 0.5, "far": ratio})
        exact = aligned.double() + (ratio - 1) * (aligned.double() - base.double())
        torch.testing.assert_close(weights[SIZE // 2 :], exact[SIZE // 2 :].to(dtype))
        middle = (base.double() + aligned.double()) / 2
        torch.testing.assert_close(weights[: SIZE // 2], middle[: SIZE // 2].to(dtype))


def test_an_extrapolation_that_stops_at_aligned_is_caught() -> None:
    base, aligned = torch.randn(2, SIZE)
    extension, weights = attached(base, aligned, torch.float32)
    weights.copy_(aligned)
    with pytest.raises(SwapError, match="did not reach these parameters: weight"):
        extension.verify({"near": 1.0, "far": 1.01})
    extension.verify({"near": 1.0, "far": 1.0})
