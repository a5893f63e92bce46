"""`Pair`: base and aligned, opened, checked against each other, and streamed tensor by tensor."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open

from ama_ray.adapter import CONFIG, WEIGHTS, Adapter, is_adapter
from ama_ray.checkpoint import (
    Checkpoint,
    TensorInfo,
    fetch,
    has_tokenizer,
    read_config,
    read_tensors,
    read_vocabulary,
)
from ama_ray.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

__all__ = ["Checkpoint", "Pair", "TensorInfo"]

PART = 2**22
_NO_PART_IN_COMPUTATION = {
    *("_name_or_path", "transformers_version", "torch_dtype", "dtype", "use_cache", "unsloth_version"),
    *("initializer_range", "attention_dropout", "hidden_dropout", "resid_pdrop", "embd_pdrop", "attn_pdrop", "dropout"),
}
_ALIGNED_IS_USED = {"bos_token_id", "eos_token_id", "pad_token_id", "max_position_embeddings"}
_HEADS = ("lm_head.weight", "embed_out.weight")
_EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "embed_in.weight", "word_embeddings.weight")


@dataclass(frozen=True)
class Pair:
    """Two checkpoints of one model, from before and after RLHF, that can be averaged.

    Attributes:
        base: The checkpoint from before RLHF.
        aligned: The checkpoint from after RLHF; shards, dtypes, tokenizer and token ids of a merge are its.
        warnings: What differs between the two and does no harm, one sentence each.
        moved: How far each averaged tensor is from base to aligned, the Euclidean norm of the difference.
    """

    base: Checkpoint
    aligned: Checkpoint
    warnings: tuple[str, ...]
    moved: Mapping[str, float]

    @classmethod
    def open(cls, base: str, aligned: str) -> Pair:
        """Opens two checkpoints and checks that their average makes sense, cheap checks first.

        Args:
            base: Folder or hub id of the checkpoint from before RLHF.
            aligned: Folder or hub id of the checkpoint from after RLHF, or of a LoRA adapter over base.

        Raises:
            UserError: A checkpoint is missing, damaged or quantised, holds NaN or infinity, or the two do not fit
                together: architecture, configuration, vocabulary, tensor names or shapes differ, or nothing does.
        """
        folders = [fetch(source) for source in (base, aligned)]
        if is_adapter(folders[1]):
            return cls._with_adapter(base, aligned)
        configs = [read_config(folder) for folder in folders]
        warnings = list(_compare_configs(folders, configs))
        _compare_vocabularies(folders)
        pair = cls(
            base=_without_tied_copy(Checkpoint(folders[0], read_tensors(base), configs[0])),
            aligned=_without_tied_copy(Checkpoint(folders[1], read_tensors(aligned), configs[1])),
            warnings=(),
            moved={},
        )
        warnings += _compare_headers(pair.base, pair.aligned)
        return replace(pair, moved=pair._check_contents(), warnings=tuple(warnings))

    @classmethod
    def _with_adapter(cls, base: str, aligned: str) -> Pair:
        folder = fetch(base)
        whole = _without_tied_copy(Checkpoint(folder, read_tensors(base), read_config(folder)))
        adapter_folder = fetch(aligned, (WEIGHTS, CONFIG))
        if has_tokenizer(adapter_folder):
            _compare_vocabularies([folder, adapter_folder])
        shapes = {name: info.shape for name, info in whole.tensors.items()}
        adapter = Adapter.open(adapter_folder, shapes, tied=bool(whole.config.get("tie_word_embeddings")))
        pair = cls(whole, replace(whole, folder=adapter_folder, adapter=adapter), (), {})
        return replace(pair, moved=pair._check_contents())

    @property
    def engine_folder(self) -> Path:
        """A folder with whole weights of this shape, which an engine can start on: aligned's, or base's."""
        return self.base.folder if self.aligned.adapter else self.aligned.folder

    @property
    def tokenizer_folder(self) -> Path:
        """Where the tokenizer and the chat template of a merge are: in aligned's folder where it has any."""
        return self.aligned.folder if has_tokenizer(self.aligned.folder) else self.base.folder

    @property
    def names(self) -> tuple[str, ...]:
        """The tensors that are averaged: the floating-point ones, in the order of aligned's files."""
        return tuple(name for name, info in self.aligned.tensors.items() if info.dtype.is_floating_point)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of a merge on disk: that of aligned's first averaged tensor."""
        return self.aligned.tensors[self.names[0]].dtype

    @property
    def num_bytes(self) -> int:
        """Bytes of all averaged tensors of base and aligned together, as `tensors` yields them."""
        infos = (self.aligned.tensors[name] for name in self.names)
        return 2 * sum(math.prod(info.shape) * info.dtype.itemsize for info in infos)

    def tensors(self) -> Iterator[tuple[str, torch.Tensor, torch.Tensor]]:
        """Name, base and aligned of every averaged tensor, read when its turn comes, in aligned's dtype."""
        return self._stream(self.names)

    def shards(self) -> Iterator[tuple[str, Iterator[tuple[str, torch.Tensor, torch.Tensor]]]]:
        """The files of aligned, each with all of its tensors, those included that are not averaged."""
        shards: dict[str, list[str]] = {}
        for name, info in self.aligned.tensors.items():
            shards.setdefault(info.file.name, []).append(name)
        for file, names in shards.items():
            yield file, self._stream(names)

    def _stream(self, names: Iterable[str]) -> Iterator[tuple[str, torch.Tensor, torch.Tensor]]:
        names = list(names)
        pairs = zip(self.base.stream(names), self.aligned.stream(names), strict=True)
        for (name, base), (_, aligned) in pairs:
            yield name, base.to(aligned.dtype), aligned

    def _check_contents(self) -> dict[str, float]:
        """Refuses values that cannot be averaged; returns how far each tensor moved."""
        moved, identical = {}, True
        for name, base, aligned in self._stream(self.aligned.tensors):
            if not aligned.is_floating_point():
                if not torch.equal(base, aligned):
                    raise UserError(
                        f"{name}: the two checkpoints hold different {_dtype(aligned.dtype)} values, which cannot be "
                        "averaged; make them equal."
                    )
                continue
            identical = identical and torch.equal(base, aligned)
            moved[name] = _distance(base, aligned)
            for checkpoint, tensor in ((self.base, base), (self.aligned, aligned)):
                # The extremes are NaN if any value is, and they cost no temporary and a tenth of isfinite's time.
                if tensor.numel() and not all(extreme.isfinite() for extreme in tensor.aminmax()):
                    raise UserError(
                        f"{checkpoint.tensors[name].file}: {name} holds NaN or infinity in {_dtype(tensor.dtype)}; "
                        "use a sound checkpoint."
                    )
        if identical:
            raise UserError(
                f"{self.base.folder} and {self.aligned.folder}: all tensors are equal, so there is nothing to search; "
                "check that base is from before and aligned from after RLHF."
            )
        return moved


def _distance(base: torch.Tensor, aligned: torch.Tensor) -> float:
    """Euclidean, in float32, by parts: the difference of a large tensor is never in memory as a whole."""
    parts = zip(torch.split(base.flatten(), PART), torch.split(aligned.flatten(), PART), strict=True)
    return math.hypot(*(float(torch.dist(low.float(), high.float())) for low, high in parts))


def _compare_configs(folders: list[Path], configs: list[dict[str, Any]]) -> Iterator[str]:
    base, aligned = configs
    names = f"{folders[0]} and {folders[1]}"
    for field in ("model_type", "architectures"):
        if base.get(field) != aligned.get(field):
            raise UserError(
                f"{names}: {field} in config.json differs ({base.get(field)}, {aligned.get(field)}); "
                "only two checkpoints of one architecture can be averaged."
            )
    for field, ours, theirs in _differences(base, aligned):
        if field.rpartition(".")[2] not in _ALIGNED_IS_USED:
            raise UserError(
                f"{names}: {field} in config.json differs ({ours!r}, {theirs!r}), so they compute differently; "
                "use a base that aligned was trained from."
            )
        yield f"config.json: {field} differs (base {ours!r}, aligned {theirs!r}); aligned's is used."


def _differences(base: dict[str, Any], aligned: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    for key in sorted((base.keys() | aligned.keys()) - _NO_PART_IN_COMPUTATION):
        ours, theirs = base.get(key), aligned.get(key)
        if isinstance(ours, dict) and isinstance(theirs, dict):
            yield from _differences(ours, theirs, f"{prefix}{key}.")
        elif ours != theirs:
            yield prefix + key, ours, theirs


def _compare_vocabularies(folders: list[Path]) -> None:
    base, aligned = (read_vocabulary(folder) for folder in folders)
    if base == aligned:
        return
    token, _ = min(base.items() ^ aligned.items(), key=lambda item: (item[1], item[0]))
    raise UserError(
        f"{folders[0]} and {folders[1]}: the vocabularies of their tokenizers differ, first in the token {token!r} "
        f"(id {base.get(token)} and {aligned.get(token)}), so their embeddings mean different things; "
        "use a base with aligned's tokenizer."
    )


def _without_tied_copy(checkpoint: Checkpoint) -> Checkpoint:
    """Leaves out the copy of the embedding that some writers store as the output head."""
    tensors = checkpoint.tensors
    head = next((name for name in tensors if name.endswith(_HEADS)), None)
    embedding = next((name for name in tensors if name.endswith(_EMBEDDINGS)), None)
    if not (checkpoint.config.get("tie_word_embeddings") and head and embedding):
        return checkpoint
    stored = []
    for name in (head, embedding):
        with safe_open(tensors[name].file, "pt") as file:
            stored.append(file.get_tensor(name))
    if not torch.equal(*stored):
        raise UserError(
            f"{tensors[head].file}: {head} differs from {embedding}, though config.json has tie_word_embeddings: true; "
            "set it to false there, or save the checkpoint again with save_pretrained."
        )
    return replace(checkpoint, tensors={name: info for name, info in tensors.items() if name != head})


def _compare_headers(base: Checkpoint, aligned: Checkpoint) -> Iterator[str]:
    for here, there in ((base, aligned), (aligned, base)):
        if missing := [name for name in here.tensors if name not in there.tensors]:
            first = missing[0] if len(missing) == 1 else f"{missing[0]} and {len(missing) - 1} more"
            raise UserError(
                f"{there.folder}: {first} {'is' if len(missing) == 1 else 'are'} missing and stored in {here.folder}; "
                "use two checkpoints of one architecture."
            )
    other_dtype = []
    for name, info in aligned.tensors.items():
        other = base.tensors[name]
        if other.shape != info.shape:
            raise UserError(
                f"{name}: the shape differs, {list(other.shape)} in {other.file} and {list(info.shape)} in "
                f"{info.file}; use two checkpoints of one size and vocabulary."
            )
        if other.dtype != info.dtype:
            if not (other.dtype.is_floating_point and info.dtype.is_floating_point):
                raise UserError(
                    f"{name}: {_dtype(other.dtype)} in {other.file} and {_dtype(info.dtype)} in {info.file} cannot "
                    "be averaged; save both in one dtype."
                )
            other_dtype.append(name)
    if other_dtype:
        first = other_dtype[0]
        yield (
            f"{len(other_dtype)} tensors of base are converted to aligned's dtype, first {first} from "
            f"{_dtype(base.tensors[first].dtype)} to {_dtype(aligned.tensors[first].dtype)}."
        )


def _dtype(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
