"""`Layout`: both endpoints under the names and in the shapes of the model that transformers makes of them."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from ama_ray.checkpoints.model_config import read_config
from ama_ray.checkpoints.parts import is_wrapper
from ama_ray.checkpoints.weight_files import INDEX
from ama_ray.errors import UserError, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ama_ray.checkpoints.pair import Pair
    from ama_ray.space.groups import Groups


Stored = tuple[Path, str]
"""A file, and the name of a tensor in it."""


class Layout:
    """Where the endpoints of every averaged tensor of the live model lie on disk; nothing is held in memory.

    Attributes:
        group_of: Group of every averaged tensor, by its name in the live model; tied tensors under one name.
    """

    def __init__(self, group_of: Mapping[str, str], base: Mapping[str, Stored], aligned: Mapping[str, Stored]) -> None:
        """Takes the groups, and where every tensor lies in base and in aligned, by its name in the live model."""
        self.group_of = dict(group_of)
        self._places = base, aligned
        self._open: Callable[[Path], Any] = cache(lambda file: safe_open(file, "pt"))

    def endpoints(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Base and aligned of a tensor, mapped from their files, flat, in the order of the live tensor's elements."""
        (base, in_base), (aligned, in_aligned) = (places[name] for places in self._places)
        return self._tensor(base, in_base), self._tensor(aligned, in_aligned)

    def _tensor(self, file: Path, name: str) -> torch.Tensor:
        tensor: torch.Tensor = self._open(file).get_tensor(name)
        return tensor.reshape(-1)


def load_model(folder: Path, dtype: torch.dtype) -> Any:
    """The language model of a checkpoint, with the towers beside it, for evaluation, on a GPU where there is one.

    Raises:
        UserError: transformers has no such model, cannot load it, or misses weights.
    """
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    auto = AutoModelForImageTextToText if is_wrapper(read_config(folder)) else AutoModelForCausalLM
    try:
        model, info = auto.from_pretrained(
            folder, dtype=dtype, use_safetensors=True, trust_remote_code=False, output_loading_info=True
        )
    except Exception as error:
        raise UserError(
            f"{folder}: transformers cannot load it as a causal language model ({one_line(error)})."
        ) from error
    if missing := sorted(info["missing_keys"]):
        raise UserError(f"{folder}: {missing[0]} is missing, without which transformers cannot compute; add it.")
    return model.eval().to("cuda" if torch.cuda.is_available() else "cpu")


def live_tensors(model: Any) -> dict[str, torch.Tensor]:
    """The floating-point tensors of a model that a checkpoint of it holds; tied ones once."""
    parameters = dict(model.named_parameters())
    stored = model.state_dict(keep_vars=True)
    buffers = {name: tensor for name, tensor in model.named_buffers() if name in stored}
    return {name: tensor for name, tensor in (parameters | buffers).items() if tensor.is_floating_point()}


@contextmanager
def layout_of(pair: Pair, groups: Groups, aligned: Any) -> Iterator[Layout]:
    """The layout of a pair.

    Where transformers keeps the tensors as the checkpoints do, that is where they lie. Where it renames, joins or
    turns them while loading, both endpoints are loaded once and written, as they are then, to a temporary folder;
    and which group the elements of a live tensor belong to is found by loading a checkpoint that holds group numbers.

    Args:
        pair: Both checkpoints.
        groups: The group of every tensor of the checkpoints.
        aligned: The model of aligned, as `load_model` made it.

    Raises:
        UserError: Two groups have a part in one tensor of the live model.
    """
    live = live_tensors(aligned)
    if live.keys() <= set(pair.names):
        infos = [{name: side.tensors[name] for name in live} for side in (pair.base, pair.aligned)]
        places = ({name: (info.file, info.name) for name, info in side.items()} for side in infos)
        direct = Layout({name: groups.of[name] for name in live if name in groups.of}, *places)
        if all(_is_as_stored(direct, name, tensor) for name, tensor in live.items()):
            yield direct
            return
    with TemporaryDirectory(prefix="ama_ray-") as folder:
        group_of = _groups_in(pair, groups, Path(folder))
        written = Path(folder, "base.safetensors"), Path(folder, "aligned.safetensors")
        _save(live_tensors(load_model(pair.base.folder, pair.dtype)), written[0])
        _save(live, written[1])
        yield Layout(group_of, *({name: (file, name) for name in live} for file in written))


def _is_as_stored(layout: Layout, name: str, live: torch.Tensor) -> bool:
    stored = layout.endpoints(name)[1]
    return stored.numel() == live.numel() and torch.equal(stored.to(live.dtype), live.detach().reshape(-1).cpu())


def _save(tensors: Mapping[str, torch.Tensor], file: Path) -> None:
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, file)


def _groups_in(pair: Pair, groups: Groups, folder: Path) -> dict[str, str]:
    """The group of every live tensor: what it holds after loading a checkpoint whose tensors hold group numbers."""
    numbered = folder / "numbered"
    numbered.mkdir()
    shutil.copyfile(pair.aligned.folder / "config.json", numbered / "config.json")
    weight_map: dict[str, str] = {}
    for file, tensors in pair.shards():
        numbers = {
            # 0 is of what is not searched, and what a tensor would hold that is none of the checkpoint's.
            name: torch.full(aligned.shape, float(groups.names.index(groups.of[name]) + 1))
            if name in groups.of
            else torch.zeros_like(aligned)
            for name, _, (aligned,) in tensors
        }
        save_file(numbers, numbered / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(numbers, file)
    (numbered / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}), encoding="utf-8")
    found = {}
    for name, tensor in live_tensors(load_model(numbered, torch.float32)).items():
        low, high = (int(extreme) for extreme in tensor.detach().aminmax())
        if low == high == 0:
            continue
        if low != high or not 1 <= low <= len(groups.names):
            raise UserError(
                f"space: transformers keeps tensors of {groups.names[low - 1]} and of {groups.names[high - 1]} in one, "
                f"{name}, so that distillation cannot tell them apart; use a space that has them in one group."
            )
        found[name] = groups.names[low - 1]
    return found
