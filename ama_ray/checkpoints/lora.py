"""LoRA adapters as `aligned`: a folder that PEFT wrote, applied to the tensors of base one by one as they are read.

PEFT itself merges a whole model in memory; here no more than one tensor is there at a time, and nothing is written.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safetensors import safe_open

from ama_ray.checkpoints.adapter_settings import CONFIG, MERGE, read_settings
from ama_ray.checkpoints.parts import EMBEDDINGS, HEADS, beside, by_structure, find, is_tied, unwrapped
from ama_ray.checkpoints.safetensors_file import opened
from ama_ray.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    import torch

WEIGHTS = "adapter_model.safetensors"
_START = ".base_layer.weight"
_PREFIX = "base_model.model."
_SUFFIX = re.compile(
    r"\.(lora_A\.weight|lora_B\.weight|lora_embedding_A|lora_embedding_B|lora_magnitude_vector(?:\.weight)?)$"
)
_COPY = re.compile(r"\.(modules_to_save|original_module)\.")
_MAGNITUDES = ("lora_magnitude_vector", "lora_magnitude_vector.weight")
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
        magnitude: In the adapter: the norms that the rows of the sum get (DoRA, arXiv 2402.09353, equation 5); of a
            weight that is stored the other way round, its columns.
    """

    names: tuple[str, ...]
    scale: float = 1.0
    transposed: bool = False
    start: str | None = None
    magnitude: str | None = None


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter on disk.

    Attributes:
        folder: Its folder.
        changes: By name of a tensor of base; all others stay as they are.
        grown: The shapes of those that have rows for more tokens than in base.
    """

    folder: Path
    changes: Mapping[str, Change]
    grown: Mapping[str, tuple[int, ...]]

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
        settings = read_settings(folder / CONFIG)
        path = folder / WEIGHTS
        if not path.is_file():
            raise UserError(f"{path}: missing; save the adapter with save_pretrained, and as safetensors.")
        with opened(path) as file:
            names = _without_copies(set(file.keys()))
            stored = {name: tuple(file.get_slice(name).get_shape()) for name in names}
        changes: dict[str, Change] = {}
        grown: dict[str, tuple[int, ...]] = {}
        used: set[str] = set()
        of_rest, apart = by_structure(shapes), beside(shapes, config)
        by_token = {name for name in shapes if name not in apart and name.endswith((*EMBEDDINGS, *HEADS))}
        tied = is_tied(config) and not find(by_token, HEADS)
        conv1d = _TRANSPOSED.get(config.get("model_type", ""))
        for name in sorted(stored, key=lambda each: each.endswith((_START, *_MAGNITUDES))):
            if name in used:
                continue
            module, part = _parse(name)
            wanted = f"{module}.weight" if part else module
            # Names of the model that was trained may be wrapped otherwise than those of base.
            target = wanted if wanted in shapes else of_rest.get(unwrapped(wanted))
            if target is None or (tied and target not in apart and re.search("embed|lm_head|wte", target)):
                why = f"is for no tensor of {len(shapes)} in base"
                if target or (tied and "lm_head" in module):
                    why = "changes tied embeddings: base's output head is its embedding, and would not be any more"
                raise UserError(f"{path}: {name} {why}; check that base is the adapter's own, or {MERGE}.")
            change = _change(name, part, settings, stored, bool(conv1d and conv1d.search(f".{module}")))
            if target in changes:
                raise UserError(f"{path}: {name} changes {target}, which another tensor changes too; {MERGE}.")
            _check_rank(path, change, module, settings, stored)
            shape = _shape(change, stored)
            if part and not _is_plain_or_dora(change, part, settings, stored, shape):
                raise UserError(f"{path}: {name} is of a DoRA adapter that is not on linear layers alone; {MERGE}.")
            if not part and target in by_token and shape != shapes[target] and shape[1:] == shapes[target][1:]:
                grown[target] = shape
            elif shape != shapes[target] or (change.start and stored[change.start] != shape):
                raise UserError(
                    f"{path}: {name} makes {target} of shape {list(shape)}, and base has {list(shapes[target])}; "
                    "use the base that the adapter was trained on."
                )
            changes[target] = change
            used.update(change.names, filter(None, (change.start, change.magnitude)))
        if grown and (grown.keys() != by_token or len({shape[0] for shape in grown.values()}) > 1):
            raise UserError(f"{path}: {min(grown)} has more rows than in base, and not all of its kind have; {MERGE}.")
        return cls(folder, changes, grown)

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
            magnitude: torch.Tensor | None = file.get_tensor(change.magnitude) if change.magnitude else None
        if len(parts) == 1:
            return parts[0].to(tensor.dtype)
        down, up = (part.float() for part in parts)
        product = (up @ down).T if change.transposed else up @ down
        changed = start.float().add(product, alpha=change.scale)
        if magnitude is not None:
            norms = changed.norm(dim=0 if change.transposed else 1, keepdim=True)
            changed *= magnitude.float().view(norms.shape) / norms
        return changed.to(tensor.dtype)


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter and no whole model; some trainers leave base's `config.json` in it."""
    whole = any(folder.glob("model*.safetensors*")) or not (folder / WEIGHTS).is_file()
    return (folder / CONFIG).is_file() and not (whole and (folder / "config.json").is_file())


def _without_copies(names: set[str]) -> list[str]:
    """Where PEFT has saved embeddings because they have grown, modules that it has trained whole are there thrice."""
    return sorted(name for name in names if (bare := _COPY.sub(".", name)) == name or bare not in names)


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
    parts = tuple(stem + each for each in names)
    start = next((each for each in (stem.removesuffix(".") + _START,) if each in stored), None)
    magnitude = next((stem + each for each in _MAGNITUDES if stem + each in stored), None)
    return Change(parts, scale, embedding or conv1d, start, magnitude)


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


def _is_plain_or_dora(
    change: Change,
    part: str,
    settings: Mapping[str, Any],
    stored: Mapping[str, tuple[int, ...]],
    shape: tuple[int, ...],
) -> bool:
    """Whether there is a norm for every row exactly where the configuration says that there are norms."""
    if not settings.get("use_dora"):
        return change.magnitude is None
    rows = shape[1 if change.transposed else 0 :][:1]
    return change.magnitude is not None and not part.startswith("lora_embedding") and stored[change.magnitude] == rows


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
