"""Operators on the differences between aligned models and base, tensor by tensor, with PyTorch and numpy alone.

A tensor is looked at in blocks that stay in a core's cache: beside it an operator takes 4 bytes for each element, and a
byte for each in every model.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ama_ray.config.delta import Delta

_BLOCK = 2**18
"""Elements that are looked at together."""
_HALF = 16
"""Bits of a magnitude that are sorted at a time, of 32."""


def operated(
    delta: Delta, name: str, base: torch.Tensor, aligned: Sequence[torch.Tensor], number: int = 0
) -> torch.Tensor:
    """A tensor of an aligned model whose differences from base an operator has changed.

    The arithmetic is float32 (float64 for float64 tensors), rounded once; what is not kept is base to the last bit.

    Args:
        delta: The operator.
        name: Of the tensor; what `dare` draws depends on it.
        base: The tensor from before RLHF.
        aligned: The same tensor of one aligned model, or of all of them where the operator joins them.
        number: The position of that model among several; what `dare` draws depends on it.

    Returns:
        A new tensor, of the shape and precision of base.
    """
    low, high = base.reshape(-1), [each.reshape(-1) for each in aligned]
    if delta.kind == "dare":
        made = _dropped(low, high[0], delta.share, _draw(delta.seed or 0, name, number))
    elif delta.kind == "ties":
        made = _joined(low, high, delta.share)
    else:
        made = _trimmed(low, high[0], delta.share, rescale=delta.rescale)
    return made.reshape(base.shape)


def _trimmed(base: torch.Tensor, aligned: torch.Tensor, share: float, *, rescale: bool) -> torch.Tensor:
    kept = _largest(base, aligned, share)
    if not rescale:
        return torch.where(kept, aligned, base)
    before = after = 0.0
    for _, difference, mask in _blocks(base, aligned, kept):
        magnitudes = difference.abs().double()
        before, after = before + float(magnitudes.sum()), after + float(magnitudes[mask].sum())
    return _scaled(base, aligned, kept, before / after if after else 1.0)


def _dropped(base: torch.Tensor, aligned: torch.Tensor, share: float, draw: np.random.Generator) -> torch.Tensor:
    """Drop and rescale (arXiv 2311.03099, section 3.1): 1 - `share` is its drop rate p."""
    kept = torch.empty(len(base), dtype=torch.bool)
    for part in torch.split(kept, _BLOCK):
        part.copy_(torch.from_numpy(draw.random(len(part)) < share))
    return _scaled(base, aligned, kept, 1 / share)


def _joined(base: torch.Tensor, aligned: Sequence[torch.Tensor], share: float) -> torch.Tensor:
    """Trim, elect a sign, and take the mean of those that have it (arXiv 2306.01708, algorithm 1), by tensor.

    Where the sum of what is left is 0, and elects no sign, plus is taken, as mergekit does.
    """
    made, masks = base.clone(), [_largest(base, each, share) for each in aligned]
    parts = [_blocks(base, each, kept) for each, kept in zip(aligned, masks, strict=True)]
    for out, *of_models in zip(torch.split(made, _BLOCK), *parts, strict=True):
        low = of_models[0][0]
        trimmed = [difference.mul_(mask) for _, difference, mask in of_models]
        is_plus = sum(trimmed[1:], trimmed[0]) >= 0
        total, count = torch.zeros_like(low), torch.zeros_like(low)
        for difference in trimmed:
            agrees = ((difference > 0) == is_plus) & (difference != 0)
            total += difference * agrees
            count += agrees
        out.copy_(torch.where(count > 0, low + total / count, low))
    return made


def _scaled(base: torch.Tensor, aligned: torch.Tensor, kept: torch.Tensor, scale: float) -> torch.Tensor:
    made = base.clone()
    for out, (low, difference, mask) in zip(torch.split(made, _BLOCK), _blocks(base, aligned, kept), strict=True):
        out.copy_(torch.where(mask, low + difference * scale, low))
    return made


def _blocks(
    base: torch.Tensor, aligned: torch.Tensor, kept: torch.Tensor
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Of every block: base and the difference, in the precision of the arithmetic, and what is kept of it."""
    for low, high, mask in zip(*(torch.split(each, _BLOCK) for each in (base, aligned, kept)), strict=True):
        wide = low.to(_precision(base))
        yield wide, high.to(_precision(base)) - wide, mask


def _precision(tensor: torch.Tensor) -> torch.dtype:
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def _largest(base: torch.Tensor, aligned: torch.Tensor, share: float) -> torch.Tensor:
    """A mask of the largest differences by magnitude, in float32: as many as the share, rounded down, and one at least.

    Of equal magnitudes, of which checkpoints in 16 bits have many, the first in the tensor are kept.
    """
    count = max(1, math.floor(share * len(base)))
    if count >= len(base):
        return torch.ones(len(base), dtype=torch.bool)
    bits = _magnitudes(base, aligned)
    least, spare = _least_of_largest(bits, count)
    kept = bits > least
    for mask, part in zip(torch.split(kept, _BLOCK), torch.split(bits, _BLOCK), strict=True):
        if spare:
            equal = (part == least).nonzero()[:spare, 0]
            mask[equal] = True
            spare -= len(equal)
    return kept


def _least_of_largest(bits: torch.Tensor, count: int) -> tuple[int, int]:
    """The smallest of the `count` largest, and how many that are as large are among these.

    They are counted by the upper half of their bits, and those that matter by the lower half: two readings instead of a
    sort, and a few hundred kilobytes whatever the size of the tensor.
    """
    least = 0
    for shift in (_HALF, 0):
        counts = torch.zeros(2**_HALF, dtype=torch.int64)
        for part in torch.split(bits, _BLOCK):
            upper = part >> _HALF
            here = upper if shift else part[upper == least >> _HALF] & (2**_HALF - 1)
            counts += torch.bincount(here, minlength=2**_HALF)
        as_large = counts.flip(0).cumsum(0)
        found = int(torch.searchsorted(as_large, count))
        count -= int(as_large[found - 1]) if found else 0
        least |= (2**_HALF - 1 - found) << shift
    return least, count


def _magnitudes(base: torch.Tensor, aligned: torch.Tensor) -> torch.Tensor:
    """The magnitudes of the differences in float32, by their bits as integers, which are in the same order."""
    found = torch.empty(len(base), dtype=torch.float32)
    for out, low, high in zip(*(torch.split(each, _BLOCK) for each in (found, base, aligned)), strict=True):
        out.copy_((high.to(_precision(base)) - low).abs_())
    return found.view(torch.int32)


def _draw(seed: int, name: str, number: int) -> np.random.Generator:
    """Of a tensor of a model, whatever was drawn for others, and on whatever machine."""
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    return np.random.Generator(np.random.PCG64([seed, number, key]))
