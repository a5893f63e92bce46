"""The aligned model as a LoRA adapter: the best approximation of low rank of what training changed in each layer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch.nn.functional import pad

from ama_ray.checkpoints.adapter_settings import CONFIG
from ama_ray.checkpoints.lora import WEIGHTS
from ama_ray.checkpoints.merging import complete_folder
from ama_ray.checkpoints.pair import Pair

if TYPE_CHECKING:
    from pathlib import Path

RANK = 64
MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def make(base: Path, aligned: Path, out: Path) -> float:
    """Writes the adapter in the form of PEFT; embeddings and norms stay those of base.

    Args:
        base: The base model.
        aligned: The aligned model.
        out: A new folder.

    Returns:
        The share of the squared change of all weights that the adapter holds (0-1).
    """
    kept, whole = 0.0, 0.0
    tensors: dict[str, torch.Tensor] = {}
    for name, before, (after,) in Pair.open(str(base), str(aligned)).tensors():
        change = after.float() - before.float()
        whole += float(change.square().sum())
        module = name.removesuffix(".weight")
        if module.endswith(MODULES):
            down, up = factors(change, RANK)
            kept += float((up @ down).square().sum())
            tensors[f"base_model.model.{module}.lora_A.weight"] = down.contiguous()
            tensors[f"base_model.model.{module}.lora_B.weight"] = up.contiguous()
    settings: dict[str, Any] = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": str(base),
        "r": RANK,
        "lora_alpha": RANK,
        "target_modules": list(MODULES),
        "inference_mode": True,
    }
    with complete_folder(out) as folder:
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
        (folder / CONFIG).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    return kept / whole


def factors(change: torch.Tensor, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A and B of the best approximation B A of this rank, in the sense of least squares (Eckart and Young, 1936).

    Args:
        change: A matrix, shape (out, in).
        rank: Of the approximation; where the smaller side is less, zeros fill it up.

    Returns:
        A, shape (rank, in), and B, shape (out, rank).
    """
    left, values, right = torch.linalg.svd(change, full_matrices=False)
    root = values[:rank].sqrt()
    missing = rank - len(root)
    return pad(root[:, None] * right[:rank], (0, 0, 0, missing)), pad(left[:, :rank] * root, (0, missing))
