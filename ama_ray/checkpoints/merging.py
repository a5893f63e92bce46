"""Writing a merged checkpoint."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file

from ama_ray.checkpoints.arithmetic import merge
from ama_ray.checkpoints.checkpoint import PROCESSOR, SMALL_FILES
from ama_ray.checkpoints.compatibility import dtype_name
from ama_ray.checkpoints.generation import GENERATION, end_ids
from ama_ray.checkpoints.json_file import read_json, read_json_if_there
from ama_ray.checkpoints.parts import TOWERS, of_size, text_fields, updated
from ama_ray.checkpoints.weight_files import INDEX
from ama_ray.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from ama_ray.checkpoints.pair import Pair


def export(pair: Pair, shares_of: Mapping[str, Sequence[float]], out: Path) -> None:
    """Writes the merged model as a complete Hugging Face checkpoint; see `write`. `out` appears when it is complete.

    Args:
        pair: The checkpoints.
        shares_of: Share of each aligned model for every tensor in `pair.names`.
        out: A folder that does not exist yet or is empty.

    Raises:
        UserError: `out` has content, or a tensor has no ratio.
    """
    with complete_folder(out) as folder:
        write(pair, shares_of, folder)


@contextmanager
def complete_folder(out: Path) -> Iterator[Path]:
    """A new folder to fill, which becomes `out` at the end, and leaves nothing behind where that is not reached.

    Args:
        out: A folder that does not exist yet or is empty.

    Raises:
        UserError: `out` has content.
    """
    out = out.resolve()
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise UserError(f"{out}: there is something here already; choose a folder that is new or empty.")
    partial = out.with_name(f".{out.name}.partial-{os.getpid()}")
    partial.mkdir(parents=True)
    try:
        yield partial
        partial.rename(out)
    except BaseException:
        shutil.rmtree(partial)
        raise


def write(pair: Pair, shares_of: Mapping[str, Sequence[float]], folder: Path) -> None:
    """Writes the merged model into a folder.

    Shards, configuration, tokenizer and chat templates are those of aligned, but for the ends of text, which are those
    of both (`Pair.ends`); a stored copy of tied weights is left out. A processor that aligned lacks is base's. At any
    time one shard is in memory.

    Args:
        pair: The checkpoints.
        shares_of: Share of each aligned model for every tensor in `pair.names` that differs, and for those in
            `pair.beside` that are not to be aligned's.
        folder: It is there.

    Raises:
        UserError: A tensor has no ratio.
    """
    if missing := [name for name in pair.names if name not in shares_of and pair.moved.get(name, True)]:
        raise UserError(f"Cannot merge: the tensor {missing[0]} has no ratio; give every tensor one.")

    def is_aligned(name: str, base: torch.Tensor, aligned: torch.Tensor) -> bool:
        # Between two infinities, as towers may have for bounds, there is nothing to interpolate.
        return name not in shares_of or (name in pair.beside and torch.equal(base, aligned))

    def shares(name: str) -> Sequence[float]:
        """Those of the models that differ from base: a swap reads no other either, and so rounds no otherwise."""
        if not (pair.further and pair.moves):
            return shares_of[name]
        return [share if of[name] else 0.0 for share, of in zip(shares_of[name], pair.moves, strict=True)]

    weight_map: dict[str, str] = {}
    total_size = 0
    for file, tensors in pair.shards():
        merged = {
            name: aligned[0] if is_aligned(name, base, aligned[0]) else merge(base, aligned, shares(name))
            for name, base, aligned in tensors
        }
        save_file(merged, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(merged, file)
        total_size += sum(tensor.nbytes for tensor in merged.values())
    if (pair.engine_folder / INDEX).is_file() or len(set(weight_map.values())) > 1:
        index = {"metadata": {"total_size": total_size}, "weight_map": weight_map}
        _write_json(index, folder / INDEX)
    # Where aligned is an adapter, its tokenizer and its chat template take the place of base's.
    for source in dict.fromkeys((pair.engine_folder, pair.aligned.folder)):
        _copy(source, SMALL_FILES, folder)
    if TOWERS in pair.beside.values() and not any(folder.glob(PROCESSOR)):
        _copy(pair.base.folder, (PROCESSOR,), folder)
    config = read_json(folder / "config.json")
    if (changed := updated(config, _changed(pair, config))) != config:
        _write_json(changed, folder / "config.json")
    generation = generation_config(pair)
    if generation != read_json_if_there(folder / GENERATION):
        _write_json(generation, folder / GENERATION)
    # safetensors writes for the owner alone, whatever the umask says.
    for file in set(weight_map.values()):
        shutil.copymode(folder / "config.json", folder / file)


def generation_config(pair: Pair) -> dict[str, Any]:
    """What `generation_config.json` of a merge says: what aligned's does, but for the ends of text.

    Args:
        pair: The checkpoints.

    Returns:
        The fields; empty where there is no such file, and none is needed.
    """
    folders = (pair.aligned.folder, pair.engine_folder)
    fields = next((found for folder in folders if (found := read_json_if_there(folder / GENERATION))), {})
    config = next(found for folder in folders if (found := read_json_if_there(folder / "config.json")))
    if set(end_ids(fields or config)) == set(pair.ends.ids):
        return fields
    tokens = ("bos_token_id", "pad_token_id")
    said = text_fields(config)
    fields = fields or {name: said[name] for name in tokens if said.get(name) is not None}
    return fields | {"eos_token_id": list(pair.ends.ids)}


def _changed(pair: Pair, config: dict[str, Any]) -> dict[str, Any]:
    """The fields of the configuration that a merge has otherwise: its precision, and its number of tokens."""
    fields: dict[str, Any] = {}
    if pair.aligned.dtype:
        fields |= {key: dtype_name(pair.aligned.dtype) for key in ("dtype", "torch_dtype") if key in config}
    if pair.is_grown:
        fields |= of_size(config, pair.vocabulary_size)
    return fields


def _copy(source: Path, patterns: tuple[str, ...], folder: Path) -> None:
    for pattern in patterns:
        for path in source.glob(pattern):
            copy = folder / path.relative_to(source)
            copy.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, copy)


def _write_json(fields: object, path: Path) -> None:
    path.write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")
