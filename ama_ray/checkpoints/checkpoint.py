"""One checkpoint: fetching it, and reading its tensors. Nothing is unpickled."""

from __future__ import annotations

import stat
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub import snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors import safe_open

from ama_ray.checkpoints.adapter_settings import CONFIG
from ama_ray.checkpoints.lora import WEIGHTS
from ama_ray.checkpoints.parts import beside, of_size, updated
from ama_ray.checkpoints.weight_files import INDEX, TensorInfo, placed, read_headers, weight_files
from ama_ray.config.fields import id_and_revision, is_hub_id
from ama_ray.errors import UserError, one_line
from ama_ray.reading import LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import torch

    from ama_ray.checkpoints.fit import Fit
    from ama_ray.checkpoints.lora import Adapter

PROCESSOR = "*processor*.json"
"""Glob of what prepares images and sound, which trainers on text may leave out."""
SMALL_FILES = (
    "config.json",
    "generation_config.json",
    *("tokenizer*.json", "*.model", "tekken.json", "*.tiktoken"),
    *("special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt"),
    *("*.jinja", "chat_template.json", "additional_chat_templates/*.jinja"),
    PROCESSOR,
    *("LICENSE*", "LICENCE*", "NOTICE*", "USE_POLICY*"),
)
"""Globs of what belongs to a checkpoint beside its weights; nothing that could hold code."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk.

    Attributes:
        folder: Its folder; in the hub's cache for a model from the hub.
        tensors: Its tensors by name, in the order of its files; a copy of tied weights is left out. In a pair, the
            names are those of aligned.
        config: `config.json` as transformers reads it, with defaults filled in.
        adapter: What changes the tensors as they are read, where `folder` holds no more than an adapter.
        fits: Of the tensors that have a row for every token: how they are made where aligned has other tokens.
        dtype: What floating-point tensors are converted to as they are read; None where they are not.
    """

    folder: Path
    tensors: dict[str, TensorInfo]
    config: dict[str, Any]
    adapter: Adapter | None = None
    fits: Mapping[str, Fit] = field(default_factory=dict)
    dtype: torch.dtype | None = None

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every tensor."""
        return {name: info.shape for name, info in self.tensors.items()}

    @property
    def searched(self) -> tuple[str, ...]:
        """The tensors of the language model; see `beside`."""
        apart = beside(self.shapes, self.config)
        return tuple(name for name in self.tensors if name not in apart)

    def source(self, name: str) -> Path:
        """The file to blame for the values of a tensor: that of the adapter where it changes it."""
        changed = self.adapter is not None and name in self.adapter.changes
        return self.folder / WEIGHTS if changed else self.tensors[name].file

    def whole(self, name: str) -> tuple[Path, str] | None:
        """File and name under which a tensor is stored as it is; None where an adapter adds something to it."""
        if self.adapter is None or name not in self.adapter.changes:
            return self.tensors[name].file, self.tensors[name].name
        parts = self.adapter.changes[name].names
        return (self.folder / WEIGHTS, parts[0]) if len(parts) == 1 else None

    def stream(self, names: Iterable[str] | None = None) -> Iterator[tuple[str, torch.Tensor]]:
        """Its tensors, all by default, each read when its turn comes."""
        files: dict[Path, Any] = {}
        for name in self.tensors if names is None else names:
            info = self.tensors[name]
            if info.file not in files:
                files[info.file] = safe_open(info.file, "pt")
            tensor: torch.Tensor = files[info.file].get_tensor(info.name)
            if name in self.fits:
                tensor = self.fits[name].apply(tensor)
            if self.adapter and name in self.adapter.changes:
                tensor = self.adapter.apply(name, tensor)
            yield name, tensor.to(self.dtype) if self.dtype and tensor.is_floating_point() else tensor

    def adapted(self, adapter: Adapter) -> Checkpoint:
        """The same with an adapter over it, which may have rows for more tokens."""
        if not adapter.grown:
            return replace(self, folder=adapter.folder, adapter=adapter)
        rows = next(iter(adapter.grown.values()))[0]
        grown = {name: replace(self.tensors[name], shape=shape) for name, shape in adapter.grown.items()}
        return replace(
            self,
            folder=adapter.folder,
            adapter=adapter,
            tensors=self.tensors | grown,
            config=updated(self.config, of_size(self.config, rows)),
        )

    def converted(self, dtype: torch.dtype) -> Checkpoint:
        """The same with all floating-point tensors in another precision."""
        tensors = {
            name: replace(info, dtype=dtype) if info.dtype.is_floating_point else info
            for name, info in self.tensors.items()
        }
        return replace(self, tensors=tensors, dtype=dtype)


def fetch(source: str, patterns: tuple[str, ...] = (*SMALL_FILES, INDEX, CONFIG)) -> Path:
    """The folder of a checkpoint; what matches `patterns` is downloaded if `source` is a model on the hub.

    Raises:
        UserError: There is no such folder, it holds something else than files and folders, or the hub does not give
            out such a model.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        _check_regular(path)
        return path
    if path.exists():
        raise UserError(f"{source}: this is a file; name the folder of the checkpoint.")
    if not is_hub_id(source):
        raise UserError(
            f"{source}: there is no such folder, and it is not the id of a model on the hub, with or without @revision."
        )
    name, revision = id_and_revision(source)
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(patterns)))
    except LocalEntryNotFoundError as error:
        # Without a connection, a copy in the cache may lack a file that nothing here needs.
        cached = [try_to_load_from_cache(name, file, revision=revision) for file in ("config.json", CONFIG)]
        if found := next((file for file in cached if isinstance(file, str)), None):
            return Path(found).parent
        raise _unknown(source, error) from None
    except (OSError, ValueError) as error:
        raise _unknown(source, error) from None


def _check_regular(folder: Path) -> None:
    """Refuses pipes, devices and files without end, before a library opens them.

    Raises:
        UserError: A file is none that can be read, or is small in any checkpoint and large here.
    """
    for path in (*folder.iterdir(), *folder.glob("additional_chat_templates/*")):
        with suppress(FileNotFoundError):  # a link of the hub's cache to what was not downloaded
            found = path.stat()
            is_small = any(path.relative_to(folder).match(pattern) for pattern in SMALL_FILES)
            if not stat.S_ISDIR(found.st_mode) and not stat.S_ISREG(found.st_mode):
                raise UserError(f"{path}: not a regular file; remove it, or copy or download it again.")
            if is_small and found.st_size > LIMIT:
                raise UserError(f"{path}: {found.st_size} bytes, and {LIMIT} are the most; copy or download it again.")


def _unknown(source: str, error: Exception) -> UserError:
    return UserError(
        f"{source}: no such folder, and not to be had from the Hugging Face hub ({one_line(error)}); "
        "check the name and the connection, and log in with `hf auth login` if the model is gated."
    )


def read_tensors(source: str) -> dict[str, TensorInfo]:
    """Fetches the weights of a checkpoint and reads their headers.

    Raises:
        UserError: There are no safetensors weights, or two sets of them; one of their files is missing, damaged or of a
            wrapped model; or a dtype is unknown.
    """
    folder = fetch(source)
    index = placed(folder)
    files = weight_files(folder, index)
    return read_headers(fetch(source, tuple(files)), files, index)
