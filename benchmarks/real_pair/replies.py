"""Replies of a policy to training prompts, sampled by the engine and scored by the reward model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch

from ama_ray.checkpoints.merging import complete_folder
from ama_ray.config import EngineSettings
from ama_ray.data.rows import read_jsonl
from ama_ray.rewards.base import sampled
from ama_ray.rewards.model import ModelReward
from testing.real_pair.comparisons import MAX_PROMPT, MAX_REPLY, TRAIN_PROMPTS

if TYPE_CHECKING:
    from pathlib import Path


N = 6
"""Replies to each prompt."""
EVERY = 2
"""Only every so many-th training prompt gets replies: they are enough."""
SEED = 1
REPLIES = "replies.jsonl"


def make(policy: Path, data: Path, reward_model: Path, out: Path) -> dict[str, float]:
    """Samples and scores replies.

    Args:
        policy: The model that replies.
        data: What `comparisons.make` wrote.
        reward_model: What scores.
        out: A new folder.

    Returns:
        The mean score of all replies (`mean`), and the means of the best and of the worst one per prompt.
    """
    from transformers import AutoTokenizer

    from ama_ray.engine.classifier.process import end_processes
    from ama_ray.engine.in_process import InProcessEngine

    rows = read_jsonl(data / TRAIN_PROMPTS)[::EVERY]
    reward = reward_of(reward_model, data / TRAIN_PROMPTS, N)
    requests = sampled(reward, rows, AutoTokenizer.from_pretrained(policy), SEED, N)
    prepared = reward.preparer()(reward, tuple(rows), requests)
    settings = EngineSettings(dtype="bfloat16", cpus=torch.get_num_threads())
    engine = InProcessEngine(policy, settings, MAX_PROMPT + MAX_REPLY)
    replies = engine.generate(requests)
    scores = prepared.score(replies).scores
    end_processes()
    written = [
        {"prompt": list(request.prompt), "replies": [reply.text for reply in sampled_replies], "scores": each.tolist()}
        for request, sampled_replies, each in zip(requests, replies, scores, strict=True)
    ]
    with complete_folder(out) as folder:
        (folder / REPLIES).write_text("".join(json.dumps(row) + "\n" for row in written), encoding="utf-8")
    return {
        "mean": float(scores.mean()),
        "best": float(scores.max(1).mean()),
        "worst": float(scores.min(1).mean()),
    }


def reward_of(reward_model: Path, file: Path, n: int) -> ModelReward:
    """The reward of the benchmark on a file of prompts, with so many replies to each."""
    fields: dict[str, Any] = {
        "kind": "model",
        "model": str(reward_model),
        "prompts": {"file": str(file), "chat": True},
        "sampling": {"max_tokens": MAX_REPLY, "temperature": 1.0, "n": n},
    }
    return ModelReward.model_validate(fields)
