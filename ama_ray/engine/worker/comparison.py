"""Whether live weights are an endpoint, all of them, to the last bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from ama_ray.engine.worker.aligned_parameter import AlignedParameter

AT_ONCE = 2**25
"""Elements that are compared together, and copied to where the live weights are."""


def is_endpoint(live: torch.Tensor, base: torch.Tensor, side: AlignedParameter | None) -> bool:
    """Whether a flat parameter is one endpoint to the last bit.

    Args:
        live: All of it.
        base: The same of base.
        side: What an aligned model has of it; None to compare with base.
    """
    if side is None:
        return _equal(live, base)
    parts, end = [], 0
    for span, values in side.parts:
        parts += [(live[end : span.start], base[end : span.start]), (live[span.start : span.end], values)]
        end = span.end
    return all(_equal(one, other) for one, other in [*parts, (live[end:], base[end:])])


def _equal(live: torch.Tensor, stored: torch.Tensor) -> bool:
    parts = (torch.split(tensor, AT_ONCE) for tensor in (live, stored))
    return all(torch.equal(one, other.to(one.device).to(one.dtype)) for one, other in zip(*parts, strict=True))
