"""Batches that share prompts, against transformers on one text at a time; the losses, by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification

from testing.real_pair.losses import bradley_terry, dpo, reply_logprobs, reply_scores

TREES = [([1, 2, 3], ([4, 5], [6, 7, 8])), ([9, 10, 11, 12, 13], ([14], [4, 5, 6, 7]))]
CONFIG = LlamaConfig(
    vocab_size=50,
    hidden_size=16,
    intermediate_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    num_key_value_heads=1,
    pad_token_id=0,
    num_labels=1,
)


def _random(kind: Any) -> Any:
    torch.manual_seed(0)
    model = kind(CONFIG).eval()
    for parameter in model.parameters():
        parameter.data.normal_(0, 0.5)
    return model


def _texts() -> list[tuple[list[int], list[int]]]:
    return [(prompt, reply) for prompt, replies in TREES for reply in replies]


def test_log_probabilities_are_those_of_each_text_by_itself() -> None:
    model = _random(LlamaForCausalLM)
    with torch.inference_mode():
        found = reply_logprobs(model, TREES).flatten().tolist()
        for value, (prompt, reply) in zip(found, _texts(), strict=True):
            logprobs = model(torch.tensor([prompt + reply])).logits[0].log_softmax(-1)
            expected = sum(logprobs[len(prompt) - 1 + i, token].item() for i, token in enumerate(reply))
            assert value == pytest.approx(expected, abs=1e-4)


def test_scores_are_those_of_the_classifier_on_each_text_by_itself() -> None:
    model = _random(LlamaForSequenceClassification)
    with torch.inference_mode():
        found = reply_scores(model, TREES).flatten().tolist()
        for value, (prompt, reply) in zip(found, _texts(), strict=True):
            assert value == pytest.approx(model(torch.tensor([prompt + reply])).logits.item(), abs=1e-4)


def test_a_gradient_step_makes_the_better_reply_likelier_than_the_worse() -> None:
    model = _random(LlamaForCausalLM)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def margins() -> torch.Tensor:
        found = reply_logprobs(model, TREES)
        return found[:, 0] - found[:, 1]

    before = margins().detach()
    torch.autograd.backward(dpo(margins(), before, 0.1))
    optimizer.step()
    assert (margins() > before).all()


def test_losses_by_hand() -> None:
    chosen, rejected = torch.tensor([2.0, 0.0]), torch.tensor([1.0, 0.0])
    assert bradley_terry(chosen, rejected).item() == pytest.approx((math.log(1 + math.exp(-1)) + math.log(2)) / 2)
    assert dpo(torch.tensor([5.0]), torch.tensor([3.0]), 0.5).item() == pytest.approx(math.log(1 + math.exp(-1)))
