"""Makes merges as their configurations say, with mergekit as it is, in an environment of its own.

    python merges.py FOLDER...

`benchmarks.peers.environments` makes the environment. Reads FOLDER/mergekit.yaml and writes FOLDER/by-mergekit; prints
a JSON object: why it could not, by folder.

Mergekit is as it is but for two things that it leaves open. Of differences of equal magnitude the first are kept, where
its own sort, which is not stable, may put any of them first. And where FOLDER/drawn/masks.safetensors is there, that is
what mergekit draws: for each tensor a mask for every model, by `NAME|POSITION`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import yaml
from mergekit import sparsify
from mergekit.config import MergeConfiguration
from mergekit.merge import run_merge
from mergekit.merge_methods.generalized_task_arithmetic import GeneralizedTaskArithmeticMerge
from mergekit.options import MergeOptions
from safetensors import safe_open

if TYPE_CHECKING:
    from mergekit.merge_methods.base import TensorGroup


class Torch:
    """PyTorch as `mergekit.sparsify` is to see it."""

    def __init__(self) -> None:
        self.masks: Path | None = None
        self.name, self.calls = "", 0

    def __getattr__(self, name: str) -> object:
        return getattr(torch, name)

    def argsort(self, values: torch.Tensor, descending: bool) -> torch.Tensor:
        return torch.argsort(values, descending=descending, stable=True)

    def sort(self, values: torch.Tensor, descending: bool) -> torch.return_types.sort:
        assert not descending
        found = torch.sort(values, descending=True, stable=True)
        return torch.return_types.sort([found.values.flip(0), found.indices.flip(0)])

    def bernoulli(self, shares: torch.Tensor) -> torch.Tensor:
        assert self.masks is not None
        with safe_open(self.masks, "pt") as file:
            mask = file.get_tensor(f"{self.name}|{self.calls}")
        self.calls += 1
        return mask.to(shares.dtype)


def main() -> None:
    failed = {}
    seen = sparsify.torch = Torch()
    merge_group = GeneralizedTaskArithmeticMerge.merge_group

    def named(self: GeneralizedTaskArithmeticMerge, group: TensorGroup, /, **parameters: Any) -> torch.Tensor:
        seen.name, seen.calls = group.metadata.name, 0
        return merge_group(self, group, **parameters)

    GeneralizedTaskArithmeticMerge.merge_group = named
    for folder in map(Path, sys.argv[1:]):
        fields = yaml.safe_load((folder / "mergekit.yaml").read_text(encoding="utf-8"))
        seen.masks = folder / "drawn" / "masks.safetensors"
        options = MergeOptions(quiet=True, copy_tokenizer=True, lora_merge_cache=str(folder / "adapters"))
        try:
            run_merge(MergeConfiguration.model_validate(fields), str(folder / "by-mergekit"), options)
        except Exception as error:
            failed[folder.name] = f"{type(error).__name__}: {error}"
    print(json.dumps(failed))


if __name__ == "__main__":
    main()
