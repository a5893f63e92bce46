"""Whether live weights are an endpoint, all of them, to the last bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.engine.endpoints import Span

AT_ONCE = 2**25
"""Elements that are compared together, and copied to where the live weights are."""


def is_endpoint(live: torch.Tensor, base: torch.Tensor, aligned: torch.Tensor | None, spans: Sequence[Span]) -> bool:
    """Whether a flat parameter is one endpoint to the last bit.

    Args:
        live: All of it.
        base: The same of base.
        aligned: The elements of aligned that lie in the spans; None to compare with base.
        spans: Where they lie.
    """
    if aligned is None:
        return _equal(live, base)
    parts, end, first = [], 0, 0
    for span in spans:
        length = span.end - span.start
        parts += [(live[end : span.start], base[end : span.start])]
        parts += [(live[span.start : span.end], aligned[first : first + length])]
        end, first = span.end, first + length
    return all(_equal(one, other) for one, other in [*parts, (live[end:], base[end:])])


def _equal(live: torch.Tensor, stored: torch.Tensor) -> bool:
    parts = (torch.split(tensor, AT_ONCE) for tensor in (live, stored))
    return all(torch.equal(one, other.to(one.device).to(one.dtype)) for one, other in zip(*parts, strict=True))
