"""The arithmetic of merging, with PyTorch alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

IN_CACHE = 2**18
"""Elements of a block of several sources on a CPU, in a scratch of float32 each: they stay in a core's cache."""
ON_ACCELERATOR = 2**25
"""The same elsewhere: starting the arithmetic of a small block takes longer than the arithmetic."""


def interpolate(
    base: torch.Tensor, aligned: torch.Tensor, ratio: float, out: torch.Tensor | None = None
) -> torch.Tensor:
    """(1 - ratio) base + ratio aligned, in one pass: exactly base at ratio 0 and exactly aligned at ratio 1.

    Model averaging as in arXiv 2309.06256, except that the ratio is always the share of aligned; a ratio beyond 1
    extrapolates past aligned, as ExPO does (arXiv 2404.16792, with 1 + alpha for the ratio). The arithmetic is
    float32 (float64 for float64 tensors); the result of bfloat16 and float16 is rounded once.

    Args:
        base: The tensor from before RLHF, of any shape and floating-point dtype.
        aligned: The tensor from after RLHF, same shape and dtype.
        ratio: Share of aligned.
        out: Where the result goes, same shape and dtype; may be `base` or `aligned`. A new tensor by default.

    Returns:
        `out`.
    """
    return torch.lerp(base, aligned, ratio, out=out)


def merge(
    base: torch.Tensor, aligned: Sequence[torch.Tensor], shares: Sequence[float], out: torch.Tensor | None = None
) -> torch.Tensor:
    """Base + the sum of share_k (aligned_k - base), rounded once: `interpolate` for as many models as there are.

    Exactly base where all shares are 0, and exactly an aligned model where its share is 1 and all others are 0. It is
    reckoned from the model with the largest share, base's being what is left of 1, as differences from there are
    weighted least; of an element that is the same in all models the result is that element. What has no share is not
    read.

    Args:
        base: The tensor from before RLHF, of any shape and floating-point dtype.
        aligned: The same tensor of every aligned model.
        shares: Of every aligned model.
        out: Where the result goes, same shape and dtype, contiguous, and none of the others. A new tensor by default.

    Returns:
        `out`.
    """
    out = torch.empty_like(base, memory_format=torch.contiguous_format) if out is None else out
    used = [(tensor, share) for tensor, share in zip(aligned, shares, strict=True) if share]
    if len(aligned) == 1 or not used:
        return interpolate(base, aligned[0], shares[0], out=out)
    left = 1 - math.fsum(shares)
    weighted = [*used, *([(base, left)] if left else [])]
    start = max(weighted, key=lambda each: each[1])
    others = [each for each in weighted if each is not start]
    if not others:
        return out.copy_(start[0])
    if base.is_cpu and base.dtype == torch.bfloat16:
        from ama_ray.checkpoints import fused  # numba takes a while to import

        flat = [each.reshape(-1) for each in (start[0], *(tensor for tensor, _ in others))]
        fused.merge(out.view(-1), flat[0], flat[1:], [share for _, share in others])
        return out
    size = IN_CACHE if base.is_cpu else ON_ACCELERATOR
    tensors = (out, start[0], *(tensor for tensor, _ in others))
    scratch: torch.Tensor | None = None
    for written, first, *rest in zip(*(torch.split(each.reshape(-1), size) for each in tensors), strict=True):
        scratch = _scratch(written) if scratch is None else scratch
        difference, origin, total = scratch[:, : len(written)]
        if origin.dtype == written.dtype:
            origin, total = first, written
        else:
            origin.copy_(first)
        total.copy_(first)
        for tensor, (_, share) in zip(rest, others, strict=True):
            total.add_(difference.copy_(tensor).sub_(origin), alpha=share)
        if total is not written:
            written.copy_(total)
    return out


def _scratch(block: torch.Tensor) -> torch.Tensor:
    """Three rooms of a block's size, in the precision of the arithmetic."""
    precision = torch.float64 if block.dtype == torch.float64 else torch.float32
    return torch.empty(3, len(block), dtype=precision, device=block.device)
