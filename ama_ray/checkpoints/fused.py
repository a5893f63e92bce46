"""The merge of several models in bfloat16 on a CPU, in one pass over memory, compiled by numba.

PyTorch has one such pass for two tensors (`torch.lerp`); for more it takes one for each, over blocks in float32.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Bits = NDArray[np.uint16]
    """The bits of bfloat16: the upper half of a float32."""

PER_THREAD = 2**21
"""Elements of a thread's turn: a smaller tensor is merged sooner than a second thread is there."""
HALF = np.uint32(16)
ROUND = np.uint32(0x7FFF)
LAST = np.uint32(1)
NOT_A_NUMBER = np.uint16(0x7FC0)


def merge(out: torch.Tensor, start: torch.Tensor, others: Sequence[torch.Tensor], shares: Sequence[float]) -> None:
    """Writes start + the sum of share_k (other_k - start), in float32, rounded once to the nearest, ties to even.

    Args:
        out: Bfloat16, contiguous, flat, on the CPU, and none of the others.
        start: The same shape and dtype, contiguous.
        others: The same, one or more.
        shares: Of each of these.
    """
    weights = tuple(map(np.float32, shares))
    parts = zip(*(torch.split(tensor, PER_THREAD) for tensor in (out, start, *others)), strict=True)

    def turn(part: tuple[torch.Tensor, ...]) -> None:
        written, first, *rest = (tensor.view(torch.uint16).numpy() for tensor in part)
        _merge(written, first, tuple(rest), weights)

    if len(out) <= PER_THREAD:
        turn((out, start, *others))
        return
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for _ in pool.map(turn, parts):
            pass


@numba.njit(nogil=True)  # type: ignore[untyped-decorator]
def _merge(out: Bits, start: Bits, others: tuple[Bits, ...], shares: tuple[np.float32, ...]) -> None:
    # The compiler knows the length of a tuple: it unrolls the inner loop, and makes vector instructions of the outer.
    for i in range(out.size):
        origin = _widened(start[i])
        total = origin
        for k in range(len(others)):
            total += shares[k] * (_widened(others[k][i]) - origin)
        out[i] = _rounded(total)


@numba.njit  # type: ignore[untyped-decorator]
def _widened(bits: Any) -> Any:
    return np.uint32(np.uint32(bits) << HALF).view(np.float32)


@numba.njit  # type: ignore[untyped-decorator]
def _rounded(value: Any) -> Any:
    bits = np.float32(value).view(np.uint32)
    nearest = np.uint16(np.uint32(bits + ROUND + ((bits >> HALF) & LAST)) >> HALF)
    return nearest if value == value else NOT_A_NUMBER  # noqa: PLR0124
