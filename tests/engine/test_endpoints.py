"""How a parameter is kept in the object store: as it is, or smaller where that loses nothing."""

from __future__ import annotations

import itertools
from unittest.mock import patch

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ama_ray.engine import endpoints as module
from ama_ray.engine.endpoints import Span, StoredTensor, runs

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


def test_only_what_spans_hold_is_stored() -> None:
    live = torch.arange(12.0).reshape(3, 4)
    kept = StoredTensor.of(live, torch.bfloat16, [Span(1, 3, "a"), Span(8, 12, "b")])
    assert kept.tensor().tolist() == [1, 2, 8, 9, 10, 11]
    assert StoredTensor.of(live, torch.float32, []).array.size == 0
    whole = StoredTensor.of(live, torch.float32, [Span(0, 5, "a"), Span(5, 12, "b")])
    live.fill_(7)
    assert whole.tensor().tolist() == [7] * 12


@given(st.lists(st.integers(0, 2), max_size=40), st.integers(1, 9))
def test_runs_are_found_across_the_parts_they_are_looked_for_in(values: list[int], at_once: int) -> None:
    with patch.object(module, "AT_ONCE", at_once):
        found = runs(torch.tensor(values, dtype=torch.float32))
    start, expected = 0, []
    for value, group in itertools.groupby(values):
        length = len(list(group))
        expected.append((float(value), start, start + length))
        start += length
    assert found == expected


def test_a_view_where_the_dtype_stays() -> None:
    live = EXACT.clone()
    kept = StoredTensor.of(live, torch.float32)
    live.fill_(7)
    assert kept.tensor().tolist() == [7] * 4
