"""`AlignedParameter`: what one aligned model has of one parameter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ama_ray.engine.endpoints import Span


@dataclass(frozen=True)
class AlignedParameter:
    """What an aligned model has of one parameter.

    Attributes:
        values: The elements in the spans, one span after another.
        spans: Where they lie.
    """

    values: torch.Tensor
    spans: tuple[Span, ...]

    @property
    def is_whole(self) -> bool:
        """Whether there are as many values as the spans have elements."""
        return sum(span.end - span.start for span in self.spans) == self.values.numel()

    @property
    def parts(self) -> Iterator[tuple[Span, torch.Tensor]]:
        """The values of each span."""
        lengths = [span.end - span.start for span in self.spans]
        return zip(self.spans, torch.split(self.values, lengths), strict=True)


def together(sides: Sequence[AlignedParameter]) -> dict[tuple[int, int], list[tuple[str, torch.Tensor]]]:
    """What the models have of each stretch of one parameter: number and values, by the stretch's start and end."""
    found: dict[tuple[int, int], list[tuple[str, torch.Tensor]]] = {}
    for side in sides:
        for span, part in side.parts:
            found.setdefault((span.start, span.end), []).append((span.number, part))
    return found
