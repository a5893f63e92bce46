"""The arithmetic of merging, with PyTorch alone."""

from __future__ import annotations

import torch


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
