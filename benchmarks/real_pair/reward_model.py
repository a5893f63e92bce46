"""The reward model: the first layers of base as a sequence classifier, trained on comparisons of replies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch

from ama_ray.checkpoints.merging import complete_folder
from benchmarks.real_pair.training import train
from testing.real_pair.comparisons import TEST, TRAIN, load
from testing.real_pair.losses import bradley_terry, reply_scores
from testing.real_pair.preferences import trees

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from testing.real_pair.losses import Tree

LAYERS, FROZEN_LAYERS = 12, 4
"""Of the 30 of base, the first ones, and of these those that are not trained: what a trial costs is not to be the
reward model's doing, and these tell harm from help as well as may be hoped of so few comparisons."""
RATE, BATCH, EPOCHS, SEED = 1e-4, 16, 1, 0
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
)
"""Base's chat template without its system prompt, which would be half of the tokens and says nothing here."""


def make(base: Path, data: Path, out: Path) -> dict[str, float]:
    """Trains the reward model.

    Args:
        base: The base model.
        data: What `comparisons.make` wrote.
        out: A new folder.

    Returns:
        Over the held-out comparisons: `accuracy` (0-1), its standard error, and their number.
    """
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(SEED)
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.chat_template = TEMPLATE
    model = AutoModelForSequenceClassification.from_pretrained(
        base, num_labels=1, num_hidden_layers=LAYERS, dtype=torch.float32
    )
    model.model.embed_tokens.requires_grad_(False)
    for layer in model.model.layers[:FROZEN_LAYERS]:
        layer.requires_grad_(False)
    pairs = trees(load(data / TRAIN), tokenizer)
    train(model, pairs, lambda batch: loss(model, batch), rate=RATE, batch=BATCH, epochs=EPOCHS, seed=SEED)
    held_out = accuracy(model, trees(load(data / TEST), tokenizer))
    with complete_folder(out) as folder:
        model.to(torch.bfloat16).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        (folder / "accuracy.json").write_text(json.dumps(held_out) + "\n", encoding="utf-8")
    return held_out


def loss(model: Any, batch: Sequence[Tree]) -> torch.Tensor:
    """The Bradley-Terry loss of a batch."""
    return bradley_terry(*reply_scores(model, batch).T)


def accuracy(model: Any, pairs: Sequence[Tree]) -> dict[str, float]:
    """How often the chosen reply has the higher score."""
    won: list[bool] = []
    ordered = sorted(pairs, key=lambda pair: len(pair[0]))
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        for start in range(0, len(ordered), BATCH):
            chosen, rejected = reply_scores(model, ordered[start : start + BATCH]).T
            won += (chosen > rejected).tolist()
    share = sum(won) / len(won)
    return {"accuracy": share, "se": (share * (1 - share) / len(won)) ** 0.5, "pairs": len(won)}
