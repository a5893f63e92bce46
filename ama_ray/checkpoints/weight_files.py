"""Which files of a folder hold its weights, and what their headers say. Nothing is unpickled."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ama_ray.checkpoints.json_file import read_json_if_there
from ama_ray.checkpoints.safetensors_file import opened
from ama_ray.checkpoints.trainer_files import why_no_weights, why_wrapped
from ama_ray.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
_SHARD = re.compile(r"model-(\d+)-of-(\d+)\.safetensors")
_COMPUTED = "rotary_emb.inv_freq"
"""The end of the name of a buffer that old versions of transformers stored, and that every model computes itself."""
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
    """Where a tensor lies, and what it looks like.

    Attributes:
        shape: Its shape.
        dtype: Its precision.
        file: The file that it is in.
        name: Its name there.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    file: Path
    name: str


def placed(folder: Path) -> dict[str, str]:
    """The file of every tensor, as the index of a folder says; empty where there is no index.

    Raises:
        UserError: The index holds something else.
    """
    index = read_json_if_there(folder / INDEX).get("weight_map") or {}
    if not isinstance(index, dict) or not all(isinstance(file, str) for file in index.values()):
        raise UserError(f"{folder / INDEX}: its weight_map names no file for every tensor; copy or download it again.")
    return index


def weight_files(folder: Path, index: Mapping[str, str]) -> list[str]:
    """The names of the files that hold the weights, which need not be there yet.

    Args:
        folder: Of the checkpoint.
        index: The file of every tensor, as its index says.

    Raises:
        UserError: There are two sets of weights, or a part of one.
    """
    present = {path.name for path in folder.iterdir()}
    if index:
        files = sorted(set(index.values()))
        if SINGLE in present and SINGLE not in files:
            raise UserError(
                f"{folder}: {SINGLE} and what {INDEX} names ({files[0]}) are two sets of weights, and programs differ "
                "in which one they load; remove the older one."
            )
        return files
    shards = {name: found.groups() for name in present if (found := _SHARD.fullmatch(name))}
    if SINGLE in present or not shards:
        return [SINGLE]
    count = max(count for _, count in shards.values())
    whole = [f"model-{number + 1:0{len(count)}d}-of-{count}.safetensors" for number in range(int(count))]
    if odd := sorted(shards.keys() ^ set(whole)):
        raise UserError(
            f"{folder}: without {INDEX}, the weights are {whole[0]} to {whole[-1]}, and {odd[0]} is "
            f"{'one too many; remove it' if odd[0] in shards else 'missing; copy or download it again'}."
        )
    return whole


def read_headers(folder: Path, files: Sequence[str], index: Mapping[str, str]) -> dict[str, TensorInfo]:
    """What is stored in files of weights, by name; buffers that every model computes itself are left out.

    Args:
        folder: Of the checkpoint.
        files: Their names.
        index: The file of every tensor, as its index says.

    Raises:
        UserError: A file is missing, damaged or of a wrapped model, or a dtype is unknown.
    """
    present = {path.name for path in folder.iterdir()}
    if not files or (files == [SINGLE] and SINGLE not in present):
        raise UserError(f"{folder}{why_no_weights(folder)}")
    if missing := [file for file in files if file not in present]:
        raise UserError(f"{folder / INDEX}: it names {missing[0]}, which is not there; copy or download it again.")
    tensors: dict[str, TensorInfo] = {}
    for file in files:
        for name, info in _read_header(folder / file):
            if name in tensors:
                raise UserError(f"{info.file}: {name} is in {tensors[name].file.name}, too; remove the older file.")
            tensors[name] = info
    for name, file in index.items():
        if name not in tensors or tensors[name].file.name != file:
            raise UserError(f"{folder / INDEX}: it places {name} in {file}, which lacks it; download both again.")
    if index and (more := [name for name in tensors.keys() - index.keys() if not name.endswith(_COMPUTED)]):
        raise UserError(
            f"{folder / INDEX}: {min(more)} is in {tensors[min(more)].file.name}, and the index lacks it; copy or "
            "download it again."
        )
    for name, info in tensors.items():
        if why := why_wrapped(name):
            raise UserError(f"{info.file}: {name} {why}.")
    return {name: info for name, info in tensors.items() if not name.endswith(_COMPUTED)}


def _read_header(path: Path) -> Iterator[tuple[str, TensorInfo]]:
    with opened(path) as file:
        for name in file.keys():  # noqa: SIM118 - the file is no mapping
            view = file.get_slice(name)
            if view.get_dtype() not in _DTYPES:
                raise UserError(
                    f"{path}: {name} has dtype {view.get_dtype()}; only unquantised weights can be averaged."
                )
            yield name, TensorInfo(tuple(view.get_shape()), _DTYPES[view.get_dtype()], path, name)
