"""Several aligned models over one base, tiny and random."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import torch

from testing.checkpoints import edit_weights, make_pair

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("chat", "math", "code")


def make_several(folder: Path, **checkpoint: Any) -> tuple[Path, list[Path]]:
    """Writes `folder/base` and aligned models by the names of `NAMES`, each with tensors that are equal in base.

    Returns:
        The folder of base, and those of the aligned models.
    """
    base, first = make_pair(folder, **checkpoint)
    paths = [first.rename(folder / NAMES[0])]
    for number, name in enumerate(NAMES[1:]):
        path = folder / name
        shutil.copytree(base, path)
        draw = torch.Generator().manual_seed(10 + number)

        def change(tensors: dict[str, torch.Tensor], kept: int = number, draw: torch.Generator = draw) -> None:
            for position, tensor in enumerate(tensors.values()):
                if position % 4 != kept:
                    tensor.add_(torch.randn(tensor.shape, generator=draw).to(tensor.dtype), alpha=0.05)

        edit_weights(path, change)
        paths.append(path)
    return base, paths
