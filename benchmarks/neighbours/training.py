"""Two neighbours of the miniature's RLOO model: the same base, prompts, seeds, samples and steps, another optimizer."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import torch

from ama_ray.miniature import ROOT
from ama_ray.miniature.recipe.align import align
from ama_ray.miniature.recipe.pretrain import new_model
from ama_ray.miniature.recipe.tokenizer import build_tokenizer
from ama_ray.miniature.recipe.train import Recipe, load, save
from ama_ray.miniature.recipe.world import World
from testing.neighbours.optimizers import changed, null_space, on_dare
from testing.neighbours.subspace import kept_by

if TYPE_CHECKING:
    from pathlib import Path

    from testing.neighbours.optimizers import Change

LINES = 2000
"""Lines of base's training text, without chat, whose inputs are kept."""
SHARE = 0.99
"""Of the energy of those inputs."""
WEIGHT = 5e-4
"""Of base's own direction in every step."""
KEEP = 0.5
"""The share of elements that OnDARE keeps."""
SEED = 0
"""The one of the bundled checkpoints."""


def make(name: str, out: Path) -> None:
    """Trains one neighbour, `rloo-null` or `rloo-ondare`, into a folder that is not there yet.

    Args:
        name: Which.
        out: Folder of the checkpoint.
    """
    if out.exists():
        return
    torch.set_num_threads(1)
    recipe, tokenizer = Recipe(), build_tokenizer()
    world = World(SEED, recipe.search, recipe.report)
    model, base = load(ROOT / "base"), load(ROOT / "base")
    change: Change
    if name == "rloo-null":
        skills = (pair for pair in world.lines(SEED + 1) if not pair[0].startswith("user :"))
        change = null_space(kept_by(base, tokenizer, list(islice(skills, LINES)), SHARE))
    else:
        # Base was trained from these random weights.
        torch.manual_seed(SEED)
        start = dict(new_model(tokenizer).named_parameters())
        direction = {key: end.detach() - start[key].detach() for key, end in base.named_parameters()}
        change = on_dare(direction, weight=WEIGHT, keep=KEEP, seed=SEED)
    settings = recipe.alignments["rloo"]
    align(
        "rloo",
        model,
        base,
        tokenizer,
        world.prompts,
        settings=settings,
        seed=SEED,
        make_optimizer=changed(change),
    )
    save(model, tokenizer, out)
