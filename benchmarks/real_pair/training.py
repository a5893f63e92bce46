"""What both trainings share: shuffled batches, a learning rate that rises and falls, mixed precision."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WARM_UP = 0.1
"""Of the steps, those in which the learning rate rises."""


def train(
    model: Any,
    examples: Sequence[Any],
    loss: Callable[[list[Any]], torch.Tensor],
    *,
    rate: float,
    batch: int,
    epochs: int,
    seed: int,
) -> None:
    """Trains with AdamW: weights in float32, products in bfloat16.

    Args:
        model: Its parameters that require a gradient are trained, in place.
        examples: What to train on.
        loss: Of a batch of examples.
        rate: The highest learning rate.
        batch: Examples a step.
        epochs: How often each example is seen.
        seed: Of the order.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=rate, weight_decay=0.0, betas=(0.9, 0.98))
    generator = torch.Generator().manual_seed(seed)
    steps = epochs * math.ceil(len(examples) / batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate(step, steps))
    start, done = time.perf_counter(), 0
    model.train()
    for _ in range(epochs):
        order = torch.randperm(len(examples), generator=generator).tolist()
        for first in range(0, len(order), batch):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                value = loss([examples[i] for i in order[first : first + batch]])
            torch.autograd.backward(value)
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            schedule.step()
            done += 1
            if done % 10 == 0 or done == steps:
                print(
                    f"step {done} of {steps}, loss {value.item():.4f}, {time.perf_counter() - start:.0f} s", flush=True
                )
    model.eval()


def learning_rate(step: int, steps: int) -> float:
    """The share of the highest learning rate at a step: a line up, then half a cosine down."""
    warm = max(1, round(WARM_UP * steps))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
