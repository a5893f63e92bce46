"""Three ways of RLHF on chat prompts only: the skills are never rehearsed, and decay."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from ama_ray.miniature import reward
from ama_ray.miniature.recipe.evaluate import sample
from ama_ray.miniature.recipe.pretrain import imitation_loss, reply_log_probs, step

ReplyPair = tuple[str, str]


@dataclass(frozen=True)
class Settings:
    """How long and how hard one alignment pulls.

    Attributes:
        rounds: Times that replies are sampled and learned from.
        prompts: Chat prompts per round.
        samples: Replies sampled per prompt.
        learning_rate: AdamW's learning rate, constant.
        strength: DPO's beta, or RLOO's KL coefficient; unused by RSF.
    """

    rounds: int
    prompts: int
    samples: int
    learning_rate: float
    strength: float = 0.0


@dataclass(frozen=True)
class Rollout:
    """Replies of the current model to one round's prompts.

    Attributes:
        prompts: One per prompt row.
        replies: For each prompt, its sampled replies.
        rewards: Shape (prompts, samples).
    """

    prompts: list[str]
    replies: list[list[str]]
    rewards: torch.Tensor

    def picked(self, indices: torch.Tensor) -> list[ReplyPair]:
        """For each prompt, the pair with the reply of that index."""
        rows = zip(self.prompts, self.replies, indices.tolist(), strict=True)
        return [(prompt, replies[index]) for prompt, replies, index in rows]

    def pairs(self) -> list[ReplyPair]:
        """Every prompt with every one of its replies, in the order of the rewards."""
        rows = zip(self.prompts, self.replies, strict=True)
        return [(prompt, reply) for prompt, replies in rows for reply in replies]


def roll_out(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    rows: Sequence[dict[str, Any]],
    samples: int,
) -> Rollout:
    """Sample replies at temperature 1 and reward them."""
    repeated = [row for row in rows for _ in range(samples)]
    replies = sample(model, tokenizer, [row["prompt"] for row in repeated])
    rewards = torch.tensor(reward.score(repeated, replies)).view(len(rows), samples)
    return Rollout(
        [row["prompt"] for row in rows],
        [replies[i : i + samples] for i in range(0, len(replies), samples)],
        rewards,
    )


def rsf(
    model: LlamaForCausalLM,
    base: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    rollout: Rollout,
    strength: float,
) -> Iterator[torch.Tensor]:
    """Rejection-sampling finetuning: imitate the best reply to each prompt, 32 at a time."""
    best = rollout.picked(rollout.rewards.argmax(1))
    for start in range(0, len(best), 32):
        yield imitation_loss(model, tokenizer, best[start : start + 32])


def dpo(
    model: LlamaForCausalLM,
    base: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    rollout: Rollout,
    strength: float,
) -> Iterator[torch.Tensor]:
    """Direct preference optimisation of the best against the worst reply to each prompt."""
    best = rollout.picked(rollout.rewards.argmax(1))
    worst = rollout.picked(rollout.rewards.argmin(1))
    with torch.no_grad():
        before = reply_log_probs(base, tokenizer, best + worst)[0].sum(1)
    gain = reply_log_probs(model, tokenizer, best + worst)[0].sum(1) - before
    chosen, rejected = gain.chunk(2)
    yield -functional.logsigmoid(strength * (chosen - rejected)).mean()


def rloo(
    model: LlamaForCausalLM,
    base: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    rollout: Rollout,
    strength: float,
) -> Iterator[torch.Tensor]:
    """REINFORCE with the other replies to a prompt as its baseline, and a KL penalty to base."""
    pairs = rollout.pairs()
    log_probs = reply_log_probs(model, tokenizer, pairs)[0].sum(1)
    with torch.no_grad():
        before = reply_log_probs(base, tokenizer, pairs)[0].sum(1)
        kl = (log_probs - before).view_as(rollout.rewards)
        value = rollout.rewards - strength * kl
        others = (value.sum(1, keepdim=True) - value) / (value.shape[1] - 1)
        advantage = (value - others).flatten()
    yield -(advantage * log_probs).mean()


Algorithm = Callable[
    [LlamaForCausalLM, LlamaForCausalLM, PreTrainedTokenizerFast, Rollout, float],
    Iterator[torch.Tensor],
]
"""Yields the losses of one round's optimizer steps: of the model, with base as the reference."""

ALGORITHMS: dict[str, Algorithm] = {"rsf": rsf, "dpo": dpo, "rloo": rloo}


MakeOptimizer = Callable[[LlamaForCausalLM, float], torch.optim.Optimizer]
"""From a model and a learning rate."""


def adamw(model: LlamaForCausalLM, learning_rate: float) -> torch.optim.Optimizer:
    """The optimizer of the bundled checkpoints."""
    return torch.optim.AdamW(model.parameters(), learning_rate, weight_decay=0.0)


def align(
    name: str,
    model: LlamaForCausalLM,
    base: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    rows: Sequence[dict[str, Any]],
    *,
    settings: Settings,
    seed: int,
    make_optimizer: MakeOptimizer = adamw,
) -> None:
    """Align a model in place.

    Args:
        name: One of `ALGORITHMS`.
        model: A copy of the base, to be changed.
        base: The reference, left alone.
        tokenizer: Their tokenizer.
        rows: Chat prompts to draw from, with what the reward reads.
        settings: How long and how hard.
        seed: Seed of the prompts drawn and the replies sampled.
        make_optimizer: Of the steps.
    """
    torch.manual_seed(seed)
    rng = random.Random(seed)
    optimizer = make_optimizer(model, settings.learning_rate)
    for number in range(settings.rounds):
        drawn = rng.sample(rows, settings.prompts)
        rollout = roll_out(model, tokenizer, drawn, settings.samples)
        for loss in ALGORITHMS[name](model, base, tokenizer, rollout, settings.strength):
            torch.autograd.backward(loss)
            step(model, optimizer)
        if number % 10 == 0 or number == settings.rounds - 1:
            mean = rollout.rewards.mean().item()
            print(f"{name}: round {number}/{settings.rounds}, reward {mean:.2f}", flush=True)
