"""Sampling replies of the live model with transformers, in batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ama_ray.distill.batches import Response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.config import Sampling
    from ama_ray.data.prompting import Tokens

BATCH_TOKENS = 16384
"""Most tokens of a batch, prompts, replies and padding included."""


def end_tokens(model: Any) -> tuple[int, ...]:
    """The tokens that end a reply."""
    ends = model.generation_config.eos_token_id
    return () if ends is None else tuple(ends) if isinstance(ends, list) else (int(ends),)


def sample(model: Any, prompts: Sequence[Tokens], sampling: Sampling, n: int, seed: int) -> list[list[Response]]:
    """Samples replies as a run does: of the model's own settings, only the end tokens count.

    Args:
        model: A causal language model.
        prompts: Token ids.
        sampling: How they are drawn, and how long they may be.
        n: Replies per prompt.
        seed: Of all of them.

    Returns:
        For each prompt, its replies.
    """
    replies: list[list[Response]] = [[] for _ in prompts]
    # By length, so that little is padded.
    waiting = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(seed)
        while waiting:
            size = max(1, BATCH_TOKENS // (n * (len(prompts[waiting[-1]]) + sampling.max_tokens)))
            batch, waiting = waiting[-size:], waiting[:-size]
            for i, of_prompt in zip(batch, _batch(model, [prompts[i] for i in batch], sampling, n), strict=True):
                replies[i] = of_prompt
    return replies


def _batch(model: Any, prompts: Sequence[Tokens], sampling: Sampling, n: int) -> list[list[Response]]:
    from transformers import GenerationConfig

    ends = end_tokens(model)
    padding = next(iter(ends), 0)
    width = max(map(len, prompts))
    # Padding goes to the left, so that all replies begin at one place.
    tokens = torch.tensor([(padding,) * (width - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    drawn = {"do_sample": True} | {name: getattr(sampling, name) for name in ("temperature", "top_k", "top_p", "min_p")}
    config = GenerationConfig(
        max_new_tokens=sampling.max_tokens,
        num_return_sequences=n,
        eos_token_id=list(ends) or None,
        pad_token_id=padding,
        repetition_penalty=sampling.repetition_penalty,
        **(drawn if sampling.temperature else {}),
    )
    said = model.generate(tokens.to(model.device), attention_mask=mask.to(model.device), generation_config=config)
    replies = iter(said[:, width:].tolist())
    return [[Response(prompt, _until(next(replies), ends)) for _ in range(n)] for prompt in prompts]


def _until(tokens: list[int], ends: tuple[int, ...]) -> tuple[int, ...]:
    """The tokens up to the first that ends a reply, itself included."""
    first = next((place for place, token in enumerate(tokens) if token in ends), len(tokens))
    return tuple(tokens[: first + 1])
