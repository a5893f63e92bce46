"""`Fit`: how a tensor of base is made that aligned has in another form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from safetensors import safe_open

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import torch

HEADS = ("lm_head.weight", "embed_out.weight")
EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "embed_in.weight", "word_embeddings.weight")
"""Ends of names of the tensors with a row for every token: the output head, where it is not tied, and the embedding."""


def find(names: Iterable[str], ends: tuple[str, ...]) -> str | None:
    """The first name that has one of these ends."""
    return next((name for name in names if name.endswith(ends)), None)


@dataclass(frozen=True)
class Rows:
    """Consecutive rows that both checkpoints have: from `first` on in aligned's, from `own` on in base's."""

    first: int
    own: int
    count: int


@dataclass(frozen=True)
class Fit:
    """How a tensor of base is made that aligned has in another form.

    Attributes:
        stored: The tensor of base that it is made of.
        rows: The rows that both have; None where all rows are as they are.
        other: File and name of aligned's tensor, whose rows stand in for what none of these takes.
    """

    stored: str
    rows: tuple[Rows, ...] | None = None
    other: tuple[Path, str] | None = None

    def apply(self, stored: torch.Tensor) -> torch.Tensor:
        """Makes it.

        Args:
            stored: The tensor of base, of shape [rows, ...].

        Returns:
            In base's precision as it is, or in aligned's where rows are put together; of aligned's shape.
        """
        if self.rows is None or self.other is None:
            return stored
        file, name = self.other
        with safe_open(file, "pt") as opened:
            made: torch.Tensor = opened.get_tensor(name).clone()
        for part in self.rows:
            made[part.first : part.first + part.count] = stored[part.own : part.own + part.count].to(made.dtype)
        return made
