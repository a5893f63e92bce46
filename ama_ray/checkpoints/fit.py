"""`Fit`: how a tensor of base is made whose rows are of other tokens in aligned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from safetensors import safe_open

if TYPE_CHECKING:
    from pathlib import Path

    import torch


@dataclass(frozen=True)
class Rows:
    """Consecutive rows that both checkpoints have: from `first` on in aligned's, from `own` on in base's."""

    first: int
    own: int
    count: int


@dataclass(frozen=True)
class Fit:
    """How a tensor of base is made whose rows are of other tokens in aligned.

    Attributes:
        rows: The rows that both have.
        file: Of aligned's tensor, whose rows stand in for what none of these takes.
        name: Of aligned's tensor, in its file.
    """

    rows: tuple[Rows, ...]
    file: Path
    name: str

    def apply(self, stored: torch.Tensor) -> torch.Tensor:
        """Makes it.

        Args:
            stored: The tensor of base, of shape [rows, ...].

        Returns:
            Of aligned's shape and precision.
        """
        with safe_open(self.file, "pt") as opened:
            made: torch.Tensor = opened.get_tensor(self.name).clone()
        for part in self.rows:
            made[part.first : part.first + part.count] = stored[part.own : part.own + part.count].to(made.dtype)
        return made
