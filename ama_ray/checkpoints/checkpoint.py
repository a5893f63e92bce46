"""One checkpoint: fetching it, and reading its configuration, vocabulary and tensor headers. Nothing is unpickled."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from huggingface_hub import snapshot_download
from safetensors import SafetensorError, safe_open

from ama_ray.checkpoints.json_file import read_json
from ama_ray.checkpoints.lora import CONFIG, WEIGHTS
from ama_ray.config.fields import is_hub_id
from ama_ray.errors import UserError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ama_ray.checkpoints.lora import Adapter

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
PROCESSOR = "*processor*.json"
"""Glob of what prepares images and sound, which trainers on text may leave out."""
SMALL_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer*.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "*.model",
    "*.jinja",
    "chat_template.json",
    PROCESSOR,
    "LICENSE*",
)
"""Globs of what belongs to a checkpoint beside its weights; nothing that could hold code."""

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")
_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@dataclass(frozen=True)
class TensorInfo:
    """Where a tensor lies, and what it looks like there.

    Attributes:
        shape: Its shape.
        dtype: Its precision in the file.
        file: The file.
        name: Its name in the file.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    file: Path
    name: str


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk.

    Attributes:
        folder: Its folder; in the hub's cache for a model from the hub.
        tensors: Its tensors by name, in the order of its files; a copy of tied weights is left out. In a pair, the
            names are those of aligned.
        config: `config.json` as transformers reads it, with defaults filled in.
        adapter: What changes the tensors as they are read, where `folder` holds no more than an adapter.
    """

    folder: Path
    tensors: dict[str, TensorInfo]
    config: dict[str, Any]
    adapter: Adapter | None = None

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every tensor."""
        return {name: info.shape for name, info in self.tensors.items()}

    def source(self, name: str) -> Path:
        """The file to blame for the values of a tensor: that of the adapter where it changes it."""
        changed = self.adapter is not None and name in self.adapter.changes
        return self.folder / WEIGHTS if changed else self.tensors[name].file

    def stream(self, names: Iterable[str] | None = None) -> Iterator[tuple[str, torch.Tensor]]:
        """Its tensors, all by default, each read when its turn comes."""
        files: dict[Path, Any] = {}
        for name in self.tensors if names is None else names:
            info = self.tensors[name]
            if info.file not in files:
                files[info.file] = safe_open(info.file, "pt")
            tensor: torch.Tensor = files[info.file].get_tensor(info.name)
            if self.adapter and name in self.adapter.changes:
                tensor = self.adapter.apply(name, tensor)
            yield name, tensor


def fetch(source: str, patterns: tuple[str, ...] = (*SMALL_FILES, INDEX, CONFIG)) -> Path:
    """The folder of a checkpoint; what matches `patterns` is downloaded if `source` is a model on the hub.

    Raises:
        UserError: There is no such folder, or the hub does not give out such a model.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise UserError(f"{source}: this is a file; name the folder of the checkpoint.")
    if not is_hub_id(source):
        raise UserError(f"{source}: there is no such folder, and it is not the id of a model on the hub.")
    try:
        return Path(snapshot_download(source, allow_patterns=list(patterns), ignore_patterns=["*/*"]))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{source}: no such folder, and not to be had from the Hugging Face hub ({one_line(error)}); "
            "check the name and the connection, and log in with `hf auth login` if the model is gated."
        ) from None


def has_tokenizer(folder: Path) -> bool:
    """Whether there is a tokenizer in a folder."""
    return any((folder / name).is_file() for name in _TOKENIZER_FILES)


def read_vocabulary(folder: Path) -> dict[str, int]:
    """Id of every token, added tokens included.

    Raises:
        UserError: There is no tokenizer, or it cannot be read.
    """
    if not has_tokenizer(folder):
        raise UserError(f"{folder}: there is no tokenizer; save it there with tokenizer.save_pretrained.")
    path = folder / "tokenizer.json"
    if not path.is_file():
        return _slow_vocabulary(folder)
    try:
        fields = read_json(path)
        tokens = fields["model"]["vocab"]
        # Unigram models list [token, score] pairs, the position being the id; the others map tokens to ids.
        vocabulary = dict(tokens) if isinstance(tokens, dict) else {pair[0]: i for i, pair in enumerate(tokens)}
        return vocabulary | {token["content"]: token["id"] for token in fields.get("added_tokens") or []}
    except (KeyError, TypeError, IndexError):
        raise UserError(f"{path}: this is not a tokenizer; save it again with tokenizer.save_pretrained.") from None


def read_tensors(source: str) -> dict[str, TensorInfo]:
    """Fetches the weights of a checkpoint and reads their headers.

    Raises:
        UserError: There are no safetensors weights, one of their files is missing or damaged, or a dtype is unknown.
    """
    folder = fetch(source)
    weight_map: dict[str, str] = {}
    files = [SINGLE]
    if (folder / INDEX).is_file():
        weight_map = read_json(folder / INDEX).get("weight_map") or {}
        files = sorted(set(weight_map.values()))
    folder = fetch(source, tuple(files))
    present = {path.name for path in folder.iterdir()}
    if not files or (files == [SINGLE] and SINGLE not in present):
        raise _no_weights(folder, present)
    if missing := [file for file in files if file not in present]:
        raise UserError(f"{folder / INDEX}: it names {missing[0]}, which is not there; copy or download it again.")
    tensors = {name: info for file in files for name, info in _read_header(folder / file).items()}
    for name, file in weight_map.items():
        if name not in tensors or tensors[name].file.name != file:
            raise UserError(f"{folder / INDEX}: it places {name} in {file}, which lacks it; download both again.")
    return tensors


def _read_header(path: Path) -> dict[str, TensorInfo]:
    tensors = {}
    try:
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118 - the file is no mapping
                view = file.get_slice(name)
                if view.get_dtype() not in _DTYPES:
                    raise UserError(
                        f"{path}: {name} has dtype {view.get_dtype()}; only unquantised weights can be averaged."
                    )
                tensors[name] = TensorInfo(tuple(view.get_shape()), _DTYPES[view.get_dtype()], path, name)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: truncated or damaged ({one_line(error)}); copy or download it again.") from None
    return tensors


def _no_weights(folder: Path, present: set[str]) -> UserError:
    pickles = sorted(name for name in present if name.endswith((".bin", ".pt", ".pth")) and "training_args" not in name)
    if pickles:
        return UserError(
            f"{folder / pickles[0]}: pickled weights are refused, as a pickle can run code; load them where you trust "
            "them and save them again with save_pretrained(safe_serialization=True)."
        )
    return UserError(
        f"{folder}: there are no weights here; {SINGLE} or {INDEX} is needed, as save_pretrained writes it, "
        "and pickled weights are refused."
    )


def _slow_vocabulary(folder: Path) -> dict[str, int]:
    from transformers import AutoTokenizer

    try:
        vocabulary: dict[str, int] = AutoTokenizer.from_pretrained(folder, trust_remote_code=False).get_vocab()
    except (OSError, ValueError, TypeError, ImportError) as error:
        raise UserError(f"{folder}: its tokenizer cannot be read ({one_line(error)}).") from None
    return vocabulary
