"""Which group every tensor of a real model is in, from its published configuration, without its weights."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING

import torch
import transformers
from transformers.core_model_loading import revert_weight_conversion

from ama_ray.checkpoints.parts import beside
from ama_ray.space.search_space import SearchSpace

if TYPE_CHECKING:
    from pathlib import Path

SPACES = ("per-layer", "attention-mlp", "experts")
FURTHER = {
    "qwen3.5-9b": ("mtp.fc.weight", "mtp.layers.0.self_attn.q_proj.weight", "mtp.layers.0.mlp.up_proj.weight"),
}
"""Some of the tensors of a checkpoint that transformers has no module for."""
_NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")


def table(file: Path) -> str:
    """A line for every tensor of a layer, and for every other one: how many there are, the name, and its groups.

    `{n}` is the number of the layer where the group has the same; other numbers in names are `*`.

    Args:
        file: The published configuration.
    """
    fields = json.loads(file.read_text(encoding="utf-8"))
    config = transformers.CONFIG_MAPPING[fields["model_type"]].from_dict(fields)
    with torch.device("meta"):
        model = getattr(transformers, config.architectures[0])(config)
    stored = {name: each for name, each in model.state_dict().items() if name not in model.all_tied_weights_keys}
    shapes = {name: tuple(each.shape) for name, each in revert_weight_conversion(model, stored).items()}
    shapes |= dict.fromkeys(FURTHER.get(file.stem, ()), (4, 4))
    apart = beside(shapes, config.to_dict())
    searched = [name for name in shapes if name not in apart]
    groups = [SearchSpace.load(space).resolve(searched).of for space in SPACES]
    count: Counter[tuple[str, str]] = Counter()
    for name in shapes:
        if name in apart:
            count[_NUMBER.sub("*", name), f"({apart[name]})"] += 1
            continue
        of = ", ".join(each[name] for each in groups)
        number = next(iter(_NUMBER.findall(name)), "none")
        known = name.replace(f".{number}.", ".{n}.", 1)
        count[_NUMBER.sub("*", known), of.replace(f"layer-{number}", "layer-{n}")] += 1
    width = max(len(name) for name, _ in count)
    return "".join(f"{number:5} {name:{width}} {of}\n" for (name, of), number in sorted(count.items()))
