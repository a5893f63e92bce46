"""On-policy training: DPO on the best and the worst of a policy's own replies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch

from ama_ray.checkpoints.merging import complete_folder
from benchmarks.real_pair.replies import REPLIES
from benchmarks.real_pair.training import train
from testing.real_pair.losses import dpo, reply_logprobs
from testing.real_pair.preferences import Preference, preferences

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


RATE, BATCH, EPOCHS, SEED = 4e-4, 8, 1, 0
BETA = 0.1
"""Of DPO: how much a nat of difference from the policy that replied counts."""
IMITATION = 0.2
"""Weight of the best reply's own log-probability, per token, beside DPO (arXiv 2404.19733, equation 1): without it DPO
makes both replies less likely."""


def make(start: Path, replies: Path, out: Path) -> None:
    """Trains a policy on its own scored replies.

    Args:
        start: The policy that replied; also the reference of DPO.
        replies: What `replies.make` wrote.
        out: A new folder, for the trained policy in float32.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(start)
    model = AutoModelForCausalLM.from_pretrained(start, dtype=torch.float32)
    found = preferences(_rows(replies / REPLIES), tokenizer)
    reference = _margins(model, found)
    examples = list(zip(found, reference, strict=True))
    train(model, examples, lambda batch: loss(model, batch), rate=RATE, batch=BATCH, epochs=EPOCHS, seed=SEED)
    with complete_folder(out) as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def loss(model: Any, batch: Sequence[tuple[Preference, float]]) -> torch.Tensor:
    """DPO, and the best reply's log-probability.

    Args:
        model: The policy.
        batch: Preferences, each with the margin of the reference: see `losses.dpo`.
    """
    best, worst = reply_logprobs(model, [preference.tree for preference, _ in batch]).T
    reference = torch.tensor([margin for _, margin in batch])
    lengths = torch.tensor([len(preference.best) for preference, _ in batch])
    value: torch.Tensor = dpo(best - worst, reference, BETA) - IMITATION * (best / lengths).mean()
    return value


def _margins(model: Any, found: Sequence[Preference]) -> list[float]:
    margins: list[float] = []
    model.eval()
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        for start in range(0, len(found), BATCH):
            best, worst = reply_logprobs(model, [each.tree for each in found[start : start + BATCH]]).T
            margins += (best - worst).tolist()
    return margins


def _rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
