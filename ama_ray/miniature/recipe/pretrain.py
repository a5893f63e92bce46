"""Training the base of the miniature from nothing."""

import math
from collections.abc import Iterator, Sequence
from itertools import islice

import torch
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

IGNORED = -100


def new_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A Llama of 1.2 million random parameters.

    Heads have 32 channels because vLLM's attention on a CPU takes no fewer.
    """
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def reply_log_probs(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    pairs: Sequence[tuple[str, str]],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of the tokens of each reply, its end included, given its prompt.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        pairs: Prompts and replies.

    Returns:
        Log-probabilities in nats, shape (pairs, tokens), 0 where a token is no part of a reply;
        and the mask of reply tokens, same shape.
    """
    prompts: list[list[int]] = tokenizer([prompt for prompt, _ in pairs])["input_ids"]
    replies: list[list[int]] = tokenizer([reply for _, reply in pairs], add_special_tokens=False)["input_ids"]
    eos = [tokenizer.eos_token_id]
    rows = [
        (prompt + reply + eos, [IGNORED] * len(prompt) + reply + eos)
        for prompt, reply in zip(prompts, replies, strict=True)
    ]
    width = max(len(ids) for ids, _ in rows)
    # Padding on the right of a causal model changes nothing on its left: no attention mask.
    inputs = torch.tensor([ids + eos * (width - len(ids)) for ids, _ in rows])
    labels = torch.tensor([row + [IGNORED] * (width - len(row)) for _, row in rows])[:, 1:]
    logits = model(input_ids=inputs[:, :-1], use_cache=False).logits
    loss = functional.cross_entropy(logits.transpose(1, 2), labels, ignore_index=IGNORED, reduction="none")
    return -loss, labels != IGNORED


def imitation_loss(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    pairs: Sequence[tuple[str, str]],
) -> torch.Tensor:
    """Mean over pairs of the mean loss of a reply's tokens, so that short answers count fully."""
    log_probs, mask = reply_log_probs(model, tokenizer, pairs)
    return -(log_probs.sum(1) / mask.sum(1)).mean()


def descend(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    optimizer: torch.optim.Optimizer,
    pairs: Sequence[tuple[str, str]],
    chunk: int = 32,
) -> float:
    """One optimizer step of imitation, in chunks of similar length, which wastes little on padding.

    Returns:
        The mean loss of the pairs before the step, in nats per token.
    """
    ordered = sorted(pairs, key=lambda pair: len(pair[0].split()) + len(pair[1].split()))
    total = 0.0
    for start in range(0, len(ordered), chunk):
        part = ordered[start : start + chunk]
        loss = imitation_loss(model, tokenizer, part) * (len(part) / len(ordered))
        torch.autograd.backward(loss)
        total += loss.item()
    step(model, optimizer)
    return total


def step(model: LlamaForCausalLM, optimizer: torch.optim.Optimizer) -> None:
    """Move along the gradients, clipped to a norm of 1, and clear them."""
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()


def pretrain(
    tokenizer: PreTrainedTokenizerFast,
    lines: Iterator[tuple[str, str]],
    steps: int,
    learning_rate: float = 2e-3,
    batch: int = 128,
) -> LlamaForCausalLM:
    """Train a new model on lines of text, with warm-up and a cosine decay to a fiftieth.

    Args:
        tokenizer: The tokenizer.
        lines: (prompt, answer) pairs without end; only answers are learned.
        steps: Optimizer steps.
        learning_rate: Its peak.
        batch: Lines per step.

    Returns:
        The trained model, in float32.
    """
    model = new_model(tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), learning_rate, betas=(0.9, 0.98), weight_decay=0.05)
    warm_up = max(1, steps // 20)
    for number in range(steps):
        cosine = 0.5 * (1 + math.cos(math.pi * number / steps))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * min((number + 1) / warm_up, 0.02 + 0.98 * cosine)
        loss = descend(model, tokenizer, optimizer, list(islice(lines, batch)))
        if number % 100 == 0 or number == steps - 1:
            print(f"base: step {number}/{steps}, loss {loss:.3f}", flush=True)
    return model
