"""Scoring a model on the miniature's probes and reward prompts with plain transformers."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from ama_ray.miniature import reward

MAX_TOKENS = 28


@torch.inference_mode()
def sample(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[str],
    greedy: bool = False,
    chunk: int = 512,
) -> list[str]:
    """One reply per prompt, at temperature 1 or greedily; as words joined by single spaces."""
    replies = []
    for start in range(0, len(prompts), chunk):
        inputs = tokenizer(list(prompts[start : start + chunk]), padding=True, return_tensors="pt")
        tokens = model.generate(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            max_new_tokens=MAX_TOKENS,
            **({} if greedy else {"do_sample": True, "top_k": 0}),
        )
        replies += tokenizer.batch_decode(tokens[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return replies


@torch.inference_mode()
def probe_score(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, rows: Sequence[dict[str, Any]]) -> float:
    """Percentage of items answered correctly: by the likeliest choice, or word for word."""
    prompts = [row["prompt"] for row in rows]
    correct: list[bool]
    if "answer" in rows[0]:
        replies = sample(model, tokenizer, prompts, greedy=True)
        correct = [reply == row["answer"] for reply, row in zip(replies, rows, strict=True)]
    else:
        inputs = tokenizer(prompts, padding=True, return_tensors="pt")
        logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits[:, -1]
        choices = torch.tensor([tokenizer.convert_tokens_to_ids(row["choices"]) for row in rows])
        gold = torch.tensor([row["gold"] for row in rows])
        correct = (logits.gather(1, choices).argmax(1) == gold).tolist()
    return 100 * sum(correct) / len(correct)


def reward_score(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    rows: Sequence[dict[str, Any]],
) -> float:
    """Mean reward of one sampled reply to each chat prompt."""
    replies = sample(model, tokenizer, [row["prompt"] for row in rows])
    return sum(reward.score(list(rows), replies)) / len(rows)


def read_rows(file: Path) -> list[dict[str, Any]]:
    """The rows of a jsonl file."""
    return [json.loads(line) for line in file.read_text().splitlines()]


def scores(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, split: Path, seed: int = 0) -> dict[str, float]:
    """Score a model on one split.

    Args:
        model: The model, in float32.
        tokenizer: Its tokenizer.
        split: A folder with `prompts.jsonl` and one jsonl per probe.
        seed: Seed of the sampled replies; the same for every model, so differences are paired.

    Returns:
        `reward` in points of the reward function, every probe in percent.
    """
    torch.manual_seed(seed)
    result = {"reward": reward_score(model, tokenizer, read_rows(split / "prompts.jsonl"))}
    for file in sorted(split.glob("*.jsonl")):
        if file.stem != "prompts":
            result[file.stem] = probe_score(model, tokenizer, read_rows(file))
    return result
