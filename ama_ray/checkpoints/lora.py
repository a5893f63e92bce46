"""LoRA adapters as `aligned`: a folder that PEFT wrote, applied to the tensors of base one by one as they are read.

PEFT itself merges a whole model in memory; here no more than one tensor is there at a time, and nothing is written.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from ama_ray.checkpoints.parts import beside, by_structure, is_tied, unwrapped
from ama_ray.errors import UserError, one_line

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    import torch

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_MERGE = "merge it into its model with peft's merge_and_unload and name that folder"
_START = ".base_layer.weight"
_PREFIX = "base_model.model."
_SUFFIX = re.compile(r"\.(lora_A\.weight|lora_B\.weight|lora_embedding_A|lora_embedding_B)$")
_PLAIN_STARTS = (True, False, None, "gaussian", "eva", "orthogonal")
"""Values of `init_lora_weights` that leave the weights of base as they are."""
_READ = {"peft_type", "bias", "init_lora_weights", "r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_rslora"}
_NO_PART_IN_THE_MERGE = {
    *("task_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision", "inference_mode"),
    *("target_modules", "exclude_modules", "lora_dropout", "modules_to_save", "layers_to_transform", "layers_pattern"),
    *("megatron_core", "loftq_config", "eva_config", "corda_config", "lora_ga_config", "runtime_config"),
    *("qalora_group_size", "ensure_weight_tying"),
    "fan_in_fan_out",  # PEFT itself goes by the kind of each layer, as `_TRANSPOSED` does
}
_TRANSPOSED = {"gpt2": re.compile(r"\.c_(attn|proj|fc)$"), "openai-gpt": re.compile(r"\.c_(attn|proj|fc)$")}
"""By model type: modules that transformers builds as `Conv1D`, whose weights are stored the other way round."""


@dataclass(frozen=True)
class Change:
    """What an adapter does to one tensor of base.

    Attributes:
        names: In the adapter: A and B, of which the scaled product B A is added (arXiv 2106.09685, equation 3), or one
            tensor that takes the place of base's.
        scale: What the product is multiplied by.
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
    def open(cls, folder: Path, shapes: Mapping[str, tuple[int, ...]], config: Mapping[str, Any]) -> Adapter:
        """Opens an adapter, and finds the tensors of base it changes.

        Args:
            folder: With `adapter_config.json` and `adapter_model.safetensors`.
            shapes: The shapes of base's tensors.
            config: Base's `config.json`.

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
        changes: dict[str, Change] = {}
        used: set[str] = set()
        of_rest, apart = by_structure(shapes), beside(shapes, config)
        tied, conv1d = is_tied(config), _TRANSPOSED.get(config.get("model_type", ""))
        for name in sorted(stored, key=lambda each: each.endswith(_START)):
            if name in used:
                continue
            module, part = _parse(name)
            wanted = f"{module}.weight" if part else module
            # Names of the model that was trained may be wrapped otherwise than those of base.
            target = wanted if wanted in shapes else of_rest.get(unwrapped(wanted))
            if target is None or (tied and target not in apart and re.search("embed|lm_head|wte", target)):
                why = "changes tied embeddings" if target else f"is for no tensor of {len(shapes)} in base"
                raise UserError(f"{path}: {name} {why}; check that base is the adapter's own, or {_MERGE}.")
            change = _change(name, part, settings, stored, bool(conv1d and conv1d.search(f".{module}")))
            if target in changes:
                raise UserError(f"{path}: {name} changes {target}, which another tensor changes too; {_MERGE}.")
            _check_rank(path, change, module, settings, stored)
            shape = _shape(change, stored)
            if shape != shapes[target] or (change.start and stored[change.start] != shape):
                raise UserError(
                    f"{path}: {name} makes {target} of shape {list(shape)}, and base has {list(shapes[target])}; "
                    "use the base that the adapter was trained on."
                )
            changes[target] = change
            used.update(change.names, [change.start] if change.start else [])
        return cls(folder, changes)

    @property
    def checksum(self) -> str:
        """The SHA-256 of its two files."""
        digest = hashlib.sha256()
        for name in (CONFIG, WEIGHTS):
            with (self.folder / name).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    def apply(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """A tensor of base with what the adapter adds, in float32 and rounded once to its dtype.

        Args:
            name: The name of the tensor, which is in `changes`.
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
    """Whether a folder holds an adapter and no whole model; some trainers leave base's `config.json` in it."""
    whole = any(folder.glob("model*.safetensors*")) or not (folder / WEIGHTS).is_file()
    return (folder / CONFIG).is_file() and not (whole and (folder / "config.json").is_file())


def _settings(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not valid JSON ({one_line(error)}); copy or download it again.") from None
    if not isinstance(settings, dict):
        raise UserError(f"{path}: holds no JSON object; copy or download it again.")
    odd = [field for field in settings.keys() - _READ - _NO_PART_IN_THE_MERGE if settings[field]]
    if settings.get("bias", "none") != "none":
        odd.append("bias")
    if settings.get("init_lora_weights", True) not in _PLAIN_STARTS:
        odd.append("init_lora_weights")
    if settings.get("peft_type") != "LORA":
        odd.append("peft_type")
    if odd:
        field = "peft_type" if "peft_type" in odd else min(odd)
        raise UserError(f"{path}: {field}: {settings.get(field)} is more than a plain LoRA adapter; {_MERGE}.")
    for field, number in _numbers(settings):
        if isinstance(number, bool) or not isinstance(number, int | float) or number <= 0:
            raise UserError(f"{path}: {field}: {number} is not a number above 0; copy or download it again.")
    for field in ("rank_pattern", "alpha_pattern"):
        for pattern in settings.get(field) or {}:
            try:
                re.compile(pattern)
            except re.error:
                raise UserError(f"{path}: {field}: {pattern} is no regular expression; {_MERGE}.") from None
    return settings


def _numbers(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for field in ("r", "lora_alpha"):
        yield field, settings.get(field)
    for field in ("rank_pattern", "alpha_pattern"):
        values = settings.get(field) or {}
        yield from ((field, each) for each in (values.values() if isinstance(values, dict) else [values]))


def _parse(name: str) -> tuple[str, str]:
    """The module that a tensor is for, and its part; or the tensor of base that it replaces, and no part."""
    bare = name.removeprefix(_PREFIX)
    found = _SUFFIX.search(bare)
    return (bare[: found.start()], found.group(1)) if found else (bare, "")


def _change(name: str, part: str, settings: Mapping[str, Any], stored: Collection[str], conv1d: bool) -> Change:
    if not part:
        return Change((name,))
    module, stem = _parse(name)[0], name[: -len(part)]
    embedding = part.startswith("lora_embedding")
    names = ("lora_embedding_A", "lora_embedding_B") if embedding else ("lora_A.weight", "lora_B.weight")
    rank = _rank(module, settings)
    alpha = _of_module(settings.get("alpha_pattern"), module, settings["lora_alpha"])
    scale = alpha / (math.sqrt(rank) if settings.get("use_rslora") else rank)
    start = stem.removesuffix(".") + _START
    return Change(tuple(stem + each for each in names), scale, embedding or conv1d, start if start in stored else None)


def _rank(module: str, settings: Mapping[str, Any]) -> float:
    return _of_module(settings.get("rank_pattern"), module, settings["r"])


def _check_rank(
    path: Path, change: Change, module: str, settings: Mapping[str, Any], stored: Mapping[str, tuple[int, ...]]
) -> None:
    """The scale is by the rank of the configuration, so another rank in the file means that the two do not belong."""
    if len(change.names) == 2 and (rows := stored.get(change.names[0], ())[:1]) and rows != (_rank(module, settings),):
        raise UserError(
            f"{path}: {change.names[0]} has rank {rows[0]}, and {CONFIG} says {_rank(module, settings)}; copy or "
            "download both again."
        )


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
