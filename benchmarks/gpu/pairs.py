"""Pairs of random weights in real shapes, drawn on the GPU where there is one, as checkpoints on disk."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file

from ama_ray.miniature import ROOT
from benchmarks.gpu.measure import drawn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHARD = 4 * 2**30
"""Bytes, about, of a file."""
LARGEST_LOGIT = 32.0
"""About the largest of a real model's, where a bfloat16 is 0.125 or 0.25 from the next."""
DEVIATIONS = 4.5
"""So many standard deviations is the largest of 150,000 normally distributed values."""
DELTA = 0.05
"""How far aligned is from base, as a share of the spread of base's weights."""


def draw_pair(folder: Path, architecture: str, shape: dict[str, Any]) -> tuple[Path, Path]:
    """Writes base and aligned in bfloat16, with the miniature's tokenizer.

    Aligned is base and a small difference in every tensor, as RLHF leaves it. Logits are as large as real ones: two
    sound engines then differ as much as they do on real models.

    Args:
        folder: It is there.
        architecture: A class of transformers, as `LlamaForCausalLM`.
        shape: Fields of its configuration.

    Returns:
        The folders of base and of aligned.
    """
    import transformers

    model_class: Any = getattr(transformers, architecture)
    config = model_class.config_class(dtype=torch.bfloat16, **shape)
    config.architectures = [architecture]
    with torch.device("meta"):
        model = model_class(config)
        tied = bool(getattr(config, "tie_word_embeddings", False))
        live = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        shapes = dict(each for item in live.items() for each in _on_disk(*item))
    if tied:
        shapes.pop("lm_head.weight", None)
    head = "model.embed_tokens.weight" if tied else "lm_head.weight"
    paths = folder / "base", folder / "aligned"
    for path in paths:
        path.mkdir()
        config.save_pretrained(path)
        for file in (ROOT / "base").glob("tokenizer*"):
            shutil.copy(file, path)
    torch.manual_seed(0)
    weight_map: dict[str, str] = {}
    for number, names in enumerate(_shards(shapes)):
        file_name = f"model-{number:05d}.safetensors"
        shards: tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]] = {}, {}
        for name in names:
            size = shapes[name]
            spread = 0.02
            if name == head:
                # After the last norm a hidden state has about one as its mean square.
                spread = LARGEST_LOGIT / DEVIATIONS / size[1] ** 0.5
            base = drawn(size, torch.bfloat16, spread=spread, mean=float("norm" in name))
            aligned = base + drawn(size, torch.bfloat16, spread=DELTA * spread)
            shards[0][name], shards[1][name] = base.cpu(), aligned.cpu()
            weight_map[name] = file_name
        for path, tensors in zip(paths, shards, strict=True):
            save_file(tensors, path / file_name, metadata={"format": "pt"})
    index = json.dumps({"metadata": {}, "weight_map": weight_map})
    for path in paths:
        (path / "model.safetensors.index.json").write_text(index, encoding="utf-8")
    return paths


def _on_disk(name: str, size: tuple[int, ...]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The tensors that a checkpoint has for one of the live model: transformers stacks experts as it loads them."""
    before, _, last = name.rpartition(".")
    if not before.endswith(".experts"):
        yield name, size
        return
    count, rows, columns = size
    halves = {"gate_up_proj": ("gate_proj", "up_proj")}.get(last, (last,))
    for number in range(count):
        for half in halves:
            yield f"{before}.{number}.{half}.weight", (rows // len(halves), columns)


def _shards(shapes: dict[str, tuple[int, ...]]) -> list[list[str]]:
    shards: list[list[str]] = [[]]
    filled = 0
    for name, size in shapes.items():
        if filled > SHARD:
            shards.append([])
            filled = 0
        shards[-1].append(name)
        filled += 2 * torch.Size(size).numel()
    return shards
