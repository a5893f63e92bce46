"""How a parameter is kept in the object store: as it is, or smaller where that loses nothing."""

from __future__ import annotations

import pytest
import torch

from ama_ray.engine.endpoints import StoredTensor

EXACT = torch.tensor([[0.5, -1.25], [3.0, 0.0]])
"""The same in every dtype."""
INEXACT = EXACT + 0.1


@pytest.mark.parametrize(
    ("live", "checkpoint", "stored"),
    [
        (EXACT, torch.float32, torch.float32),
        (EXACT, torch.bfloat16, torch.bfloat16),
        (EXACT, torch.float16, torch.float16),
        (INEXACT, torch.bfloat16, torch.float32),
        (EXACT.bfloat16(), torch.bfloat16, torch.bfloat16),
        (EXACT.half(), torch.bfloat16, torch.bfloat16),
        # A wider dtype would take memory and bring nothing back.
        (INEXACT.bfloat16(), torch.float32, torch.bfloat16),
    ],
)
def test_a_parameter_is_stored_without_loss(live: torch.Tensor, checkpoint: torch.dtype, stored: torch.dtype) -> None:
    kept = StoredTensor.of(live, checkpoint)
    assert kept.dtype == kept.tensor().dtype == stored
    assert kept.array.nbytes == live.numel() * stored.itemsize
    assert torch.equal(kept.tensor().to(live.dtype), live.reshape(-1))


def test_a_view_where_the_dtype_stays() -> None:
    live = EXACT.clone()
    kept = StoredTensor.of(live, torch.float32)
    live.fill_(7)
    assert kept.tensor().tolist() == [7] * 4
