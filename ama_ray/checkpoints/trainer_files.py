"""What trainers leave in the place of a checkpoint, and the command by which each of them makes one of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Left:
    """What one kind of trainer leaves.

    Attributes:
        name: A regular expression for the name of a file or folder that only it writes.
        what: What the files are.
        remedy: How they become a checkpoint; `{}` stands for the folder.
    """

    name: str
    what: str
    remedy: str


_LEFT = (
    Left(
        r"model_world_size_\d+_rank_\d+\.pt",
        "shards of verl's FSDP workers",
        "merge them with `python -m verl.model_merger merge --backend fsdp --local_dir {} --target_dir NEW`",
    ),
    Left(
        r"dist_ckpt",
        "shards of verl's Megatron workers",
        "merge them with `python -m verl.model_merger merge --backend megatron --local_dir {} --target_dir NEW`",
    ),
    Left(
        r"latest_checkpointed_iteration\.txt|iter_\d{7}|mp_rank_\d+(_\d+)?",
        "shards of Megatron",
        "export them with the converter of your trainer, such as `export_ckpt` of Megatron Bridge's AutoBridge",
    ),
    Left(
        r"zero_to_fp32\.py|global_step\d+|.*zero_pp_rank_\d+.*\.pt",
        "shards of DeepSpeed ZeRO",
        "merge them with `python zero_to_fp32.py {} NEW --safe_serialization`, and copy config.json and the tokenizer "
        "there",
    ),
    Left(
        r"pytorch_model_fsdp_\d+|.*\.distcp",
        "shards of FSDP (a distributed checkpoint of PyTorch)",
        "merge them with `accelerate merge-weights {} NEW`, and copy config.json and the tokenizer there",
    ),
)
_WRAPPERS = (
    (
        r"^base_model\.model\.|\.base_layer\.(weight|bias)$|\.lora_[AB]\.",
        "belongs to a model with an adapter in it; call peft's merge_and_unload before save_pretrained",
    ),
    (
        r"^(module|_orig_mod|_fsdp_wrapped_module)\.|\._(orig_mod|fsdp_wrapped_module)\.",
        "has a name from a wrapper (DDP, FSDP or torch.compile); save the model inside it, as accelerate's "
        "unwrap_model gives it",
    ),
    (
        r"^(pretrained_model\.|v_head\.)",
        "belongs to TRL's model with a value head; save its `pretrained_model` with save_pretrained",
    ),
)


def why_no_weights(folder: Path) -> str:
    """What there is in a folder instead of weights in safetensors, and the remedy; follows the folder's name."""
    names = sorted(path.name for path in folder.iterdir())
    for left in _LEFT:
        if found := next((name for name in names if re.fullmatch(left.name, name)), None):
            return f"/{found}: these are {left.what}, and no checkpoint; {left.remedy.format(folder)}."
    pickles = [name for name in names if name.endswith((".bin", ".pt", ".pth")) and "training_args" not in name]
    if pickles:
        return (
            f"/{pickles[0]}: pickled weights are refused, as a pickle can run code; load them where you trust them and "
            "save them again with save_pretrained(safe_serialization=True)."
        )
    return (
        ": there are no weights here; model.safetensors or its shards are needed, as save_pretrained writes them, and "
        "pickled weights are refused."
    )


def why_wrapped(name: str) -> str:
    """What a tensor belongs to, and the remedy, where its name says that more than a model was saved; else nothing."""
    return next((why for pattern, why in _WRAPPERS if re.search(pattern, name)), "")
