"""The tensors of checkpoints on disk, and how exact they can be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file

if TYPE_CHECKING:
    from pathlib import Path


def stored(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors in the files of a folder."""
    return {name: t for file in sorted(folder.glob("*.safetensors")) for name, t in load_file(file).items()}


def half_ulp(exact: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Half the distance of two neighbouring numbers of this dtype, where the exact values are."""
    info = torch.finfo(dtype)
    exponent = torch.floor(torch.log2(exact.abs().clamp_min(info.tiny)))
    return 0.5 * info.eps * torch.exp2(exponent)
