"""Operators on differences, against the equations of their papers in float64 with numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from ama_ray.checkpoints import differences
from ama_ray.checkpoints.differences import operated
from ama_ray.config.delta import Delta

if TYPE_CHECKING:
    from collections.abc import Sequence

DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64]
SHAPE = (97, 43)
DARE = {"kind": "dare", "seed": 0}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tensor of the tests is in several blocks, and the last one is not whole."""
    monkeypatch.setattr(differences, "_BLOCK", 1000)


def drawn(dtype: torch.dtype, models: int = 3, spread: float = 0.01) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Base and aligned; in 16 bits, many differences are equal and some are 0."""
    draw = torch.Generator().manual_seed(0)
    base = torch.randn(SHAPE, generator=draw)
    aligned = [base + spread * torch.randn(SHAPE, generator=draw) for _ in range(models)]
    return base.to(dtype), [each.to(dtype) for each in aligned]


def wide(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    flat: np.ndarray[Any, Any] = tensor.double().numpy().reshape(-1)
    return flat


def trimmed(base: torch.Tensor, aligned: torch.Tensor, keep: float) -> np.ndarray[Any, Any]:
    """The difference with all but the largest share set to 0; of equal ones, the first stay."""
    difference = wide(aligned) - wide(base)
    chosen = np.argsort(-np.abs(difference.astype(np.float32)), kind="stable")[: max(1, int(keep * difference.size))]
    kept: np.ndarray[Any, Any] = np.zeros_like(difference)
    kept[chosen] = difference[chosen]
    return kept


def assert_rounded(made: torch.Tensor, exact: np.ndarray[Any, Any], scale: Sequence[torch.Tensor]) -> None:
    """Float32 arithmetic, and one rounding of 16 bits."""
    largest = np.max([np.abs(exact), *(np.abs(wide(each)) for each in scale)], axis=0)
    roundings = 0.51 if made.dtype.itemsize == 2 else 4.0
    assert np.all(np.abs(wide(made) - exact) <= roundings * torch.finfo(made.dtype).eps * largest)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("keep", [1e-9, 0.01, 0.3, 0.5, 0.999, 1.0])
def test_trim_keeps_the_largest_as_they_are(dtype: torch.dtype, keep: float) -> None:
    base, (aligned, *_) = drawn(dtype)
    made = operated(Delta(keep=keep), "w", base, [aligned])
    assert (made.dtype, made.shape) == (dtype, base.shape)
    kept = trimmed(base, aligned, keep) != 0
    expected = torch.where(torch.from_numpy(kept).reshape(SHAPE), aligned, base)
    assert torch.equal(made, expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rescaled_magnitudes_have_the_sum_they_had(dtype: torch.dtype) -> None:
    base, (aligned, *_) = drawn(dtype)
    made = operated(Delta(keep=0.3, rescale=True), "w", base, [aligned])
    kept = trimmed(base, aligned, 0.3)
    scale = np.abs(wide(aligned) - wide(base)).sum() / np.abs(kept).sum()
    assert scale > 1.2
    assert_rounded(made, wide(base) + scale * kept, [base])
    assert torch.equal(made.reshape(-1)[kept == 0], base.reshape(-1)[kept == 0])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("models", [2, 3, 5])
@pytest.mark.parametrize("keep", [0.2, 1.0])
def test_ties_is_algorithm_1_of_its_paper(dtype: torch.dtype, models: int, keep: float) -> None:
    base, aligned = drawn(dtype, models)
    made = operated(Delta(kind="ties", keep=keep), "w", base, aligned)
    left = np.stack([trimmed(base, each, keep) for each in aligned])
    sign = np.where(left.sum(0) >= 0, 1.0, -1.0)  # of a sum of 0 plus is taken
    agree = np.sign(left) == sign
    assert 0.1 < agree.any(0).mean() < 1.01
    mean = np.where(agree, left, 0).sum(0) / np.maximum(agree.sum(0), 1)
    # float32 may see another sign than float64 where the sum is nearly 0.
    clear = torch.from_numpy(np.abs(left.sum(0)) > 1e-6 * np.abs(left).sum(0)) | torch.from_numpy(left.sum(0) == 0)
    assert clear.double().mean() > 0.999
    assert_rounded(made.reshape(-1)[clear], (wide(base) + mean)[clear.numpy()], [base.reshape(-1)[clear]])
    alone = torch.from_numpy(~agree.any(0))
    assert torch.equal(made.reshape(-1)[alone], base.reshape(-1)[alone])


def test_ties_by_hand() -> None:
    """Two agree against one; the one that is larger than two together wins; a sum of 0 is plus; 0 counts as nobody."""
    base = torch.tensor([1.0, 1.0, 1.0, 1.0])
    aligned = [
        torch.tensor([1.5, 1.25, 1.5, 1.0]),
        torch.tensor([1.25, 1.25, 0.5, 1.0]),
        torch.tensor([0.5, 0, 1, 0.5]),
    ]
    made = operated(Delta(kind="ties", keep=1.0), "w", base, aligned)
    assert made.tolist() == [1.375, 0.0, 1.5, 0.5]


def test_ties_keeps_a_fifth_by_default() -> None:
    base, aligned = drawn(torch.float32)
    assert torch.equal(
        operated(Delta(kind="ties"), "w", base, aligned), operated(Delta(kind="ties", keep=0.2), "w", base, aligned)
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("keep", [0.1, 0.5, 1.0])
def test_dare_keeps_a_share_and_divides_by_it(dtype: torch.dtype, keep: float) -> None:
    base, (aligned, *_) = drawn(dtype, spread=0.5)
    made = operated(Delta(keep=keep, **DARE), "w", base, [aligned])
    kept = wide(made) != wide(base)
    sigma = (keep * (1 - keep) / kept.size) ** 0.5
    assert abs(kept.mean() - keep) <= 4 * sigma + 0.01  # some differences are 0 in 16 bits
    exact = wide(base) + (wide(aligned) - wide(base)) / keep
    assert_rounded(made.reshape(-1)[kept], exact[kept], [base.reshape(-1)[kept]])
    # Large and small ones have the same chance.
    small = np.abs(wide(aligned) - wide(base)) < np.median(np.abs(wide(aligned) - wide(base)))
    assert abs(kept[small].mean() - keep) <= 6 * sigma + 0.02


def test_what_dare_draws_is_its_own_for_seed_name_and_model() -> None:
    base, (aligned, *_) = drawn(torch.bfloat16)

    def masks(seed: int, name: str, number: int) -> torch.Tensor:
        made = operated(Delta(kind="dare", keep=0.5, seed=seed), name, base, [aligned], number)
        return made != base

    first = masks(0, "w", 0)
    assert torch.equal(first, masks(0, "w", 0))
    for other in (masks(1, "w", 0), masks(0, "v", 0), masks(0, "w", 1)):
        assert 0.1 < float((first != other).double().mean()) < 0.6


def test_tensors_of_few_elements() -> None:
    base, aligned = torch.zeros(()), torch.ones(())
    assert operated(Delta(keep=0.1), "w", base, [aligned]).item() == 1
    assert operated(Delta(kind="ties"), "w", base, [aligned, -aligned]).item() == 1
    empty = torch.zeros(0)
    for delta in (Delta(keep=0.1), Delta(keep=0.1, rescale=True), Delta(kind="ties"), Delta(keep=0.5, **DARE)):
        assert operated(delta, "w", empty, [empty, empty][: 1 + delta.joins]).shape == (0,)
    same = torch.ones(5)
    assert torch.equal(operated(Delta(keep=0.4, rescale=True), "w", same, [same]), same)
