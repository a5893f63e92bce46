"""LoRA adapters as `aligned`: a folder that PEFT wrote, applied to the tensors of base one by one as they are read.

PEFT itself merges a whole model in memory; here no more than one tensor is there at a time, and nothing is written.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from ama_ray.errors import UserError, one_line

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    import torch

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_MERGE = "merge it into its model with peft's merge_and_unload and name that folder"
_START = ".base_layer.weight"
_PREFIX = "base_model.model."
_SUFFIX = re.compile(r"\.(lora_A\.weight|lora_B\.weight|lora_embedding_A|lora_embedding_B)$")
_PLAIN_STARTS = (True, False, None, "gaussian", "eva", "orthogonal")
"""Values of `init_lora_weights` that leave the weights of base as they are."""


@dataclass(frozen=True)
class Change:
    """What an adapter does to one tensor of base.

    Attributes:
        names: In the adapter: A and B, of which the scaled product B A is added (arXiv 2106.09685, equation 3), or one
            tensor that takes the place of base's.
        scale: Of the product.
        transposed: The product is for a weight that is stored the other way round.
        start: In the adapter: a tensor that the product is added to instead of base's. PEFT saves embeddings so.
    """

    names: tuple[str, ...]
    scale: float = 1.0
    transposed: bool = False
    start: str | None = None


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter on disk.

    Attributes:
        folder: Its folder.
        changes: By name of a tensor of base; all others stay as they are.
    """

    folder: Path
    changes: Mapping[str, Change]

    @classmethod
    def open(cls, folder: Path, shapes: Mapping[str, tuple[int, ...]], *, tied: bool) -> Adapter:
        """Opens an adapter, and finds the tensors of base it changes.

        Args:
            folder: With `adapter_config.json` and `adapter_model.safetensors`.
            shapes: Of base's tensors.
            tied: Base's input and output embeddings are one.

        Raises:
            UserError: It is no plain LoRA adapter, is damaged, or is not for this base.
        """
        settings = _settings(folder / CONFIG)
        path = folder / WEIGHTS
        if not path.is_file():
            raise UserError(f"{path}: missing; save the adapter with save_pretrained, and as safetensors.")
        try:
            with safe_open(path, "pt") as file:
                stored = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise UserError(f"{path}: truncated or damaged ({one_line(error)}); copy or download it again.") from None
        changes = {}
        for name in stored:
            if name.endswith(_START):
                continue
            module, part = _parse(name)
            target = _target(f"{module}.weight" if part else module, shapes)
            if target is None or (tied and re.search("embed|lm_head|wte", target)):
                why = "changes tied embeddings" if target else f"is for no tensor of {len(shapes)} in base"
                raise UserError(f"{path}: {name} {why}; check that base is the adapter's own, or {_MERGE}.")
            change = _change(name, module, part, settings, stored)
            shape = _shape(change, stored)
            if shape != shapes[target] or (change.start and stored[change.start] != shape):
                raise UserError(
                    f"{path}: {name} makes {target} of shape {list(shape)}, and base has {list(shapes[target])}; "
                    "use the base that the adapter was trained on."
                )
            changes[target] = change
        return cls(folder, changes)

    def apply(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """A tensor of base with what the adapter adds, in float32 and rounded once to its dtype.

        Args:
            name: Of the tensor, in `changes`.
            tensor: As it is in base.
        """
        change = self.changes[name]
        with safe_open(self.folder / WEIGHTS, "pt") as file:
            parts: list[torch.Tensor] = [file.get_tensor(part) for part in change.names]
            start: torch.Tensor = file.get_tensor(change.start).to(tensor.dtype) if change.start else tensor
        if len(parts) == 1:
            return parts[0].to(tensor.dtype)
        down, up = (part.float() for part in parts)
        product = (up @ down).T if change.transposed else up @ down
        return start.float().add(product, alpha=change.scale).to(tensor.dtype)


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter and no whole model."""
    return (folder / CONFIG).is_file() and not (folder / "config.json").is_file()


def _settings(path: Path) -> dict[str, Any]:
    try:
        settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not valid JSON ({one_line(error)}); copy or download it again.") from None
    odd = [
        field for field in ("use_dora", "target_parameters", "layer_replication", "lora_bias") if settings.get(field)
    ]
    if settings.get("bias", "none") != "none":
        odd.append("bias")
    if settings.get("init_lora_weights", True) not in _PLAIN_STARTS:
        odd.append("init_lora_weights")
    if settings.get("peft_type") != "LORA":
        odd.append("peft_type")
    if odd:
        raise UserError(f"{path}: {odd[0]}: {settings.get(odd[0])} is more than a plain LoRA adapter; {_MERGE}.")
    return settings


def _parse(name: str) -> tuple[str, str]:
    """The module that a tensor is for, and its part; or the tensor of base that it replaces, and no part."""
    bare = name.removeprefix(_PREFIX)
    found = _SUFFIX.search(bare)
    return (bare[: found.start()], found.group(1)) if found else (bare, "")


def _target(name: str, shapes: Mapping[str, Any]) -> str | None:
    """The tensor of base; some checkpoints leave out the first part of the names that the model has."""
    return next((each for each in (name, name.partition(".")[2]) if each in shapes), None)


def _change(name: str, module: str, part: str, settings: Mapping[str, Any], stored: Collection[str]) -> Change:
    if not part:
        return Change((name,))
    stem = name[: -len(part)]
    embedding = part.startswith("lora_embedding")
    names = ("lora_embedding_A", "lora_embedding_B") if embedding else ("lora_A.weight", "lora_B.weight")
    rank = _of_module(settings.get("rank_pattern"), module, settings["r"])
    alpha = _of_module(settings.get("alpha_pattern"), module, settings["lora_alpha"])
    scale = alpha / (math.sqrt(rank) if settings.get("use_rslora") else rank)
    transposed = embedding or bool(settings.get("fan_in_fan_out"))
    start = stem.removesuffix(".") + _START
    return Change(tuple(stem + each for each in names), scale, transposed, start if start in stored else None)


def _of_module(pattern: Mapping[str, float] | None, module: str, default: float) -> float:
    """As PEFT does: the first pattern that matches the end of a module's name."""
    return next((value for key, value in (pattern or {}).items() if re.match(rf"(.*\.)?({key})$", module)), default)


def _shape(change: Change, stored: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    """The shape of the tensor that a change makes; empty where a half of it is missing or is no matrix."""
    shapes = [stored.get(name, ()) for name in change.names]
    if len(shapes) == 1:
        return shapes[0]
    down, up = shapes
    if len(down) != 2 or len(up) != 2 or down[0] != up[1]:
        return ()
    return (down[1], up[0]) if change.transposed else (up[0], down[1])
