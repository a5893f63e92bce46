"""Targets are scored at their rows, whichever model runner hands over the hidden states."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ama_ray.engine.prefix_tree import ScoringError
from ama_ray.engine.worker import target_scorer
from ama_ray.engine.worker.target_scorer import PromptPart, score, score_targets


def test_an_unknown_model_runner_is_refused() -> None:
    with pytest.raises(ScoringError, match="no method _get_prompt_logprobs_dict"):
        score_targets(SimpleNamespace())
    with pytest.raises(ScoringError, match="num_scheduled_tokens"):
        score_targets(SimpleNamespace(_get_prompt_logprobs_dict=lambda hidden_states: {}))
    worker = SimpleNamespace(add_request=lambda req_id, req_idx, sampling_params: None)
    with pytest.raises(ScoringError, match=r"no method remove_request\(req_id\)"):
        score_targets(SimpleNamespace(prompt_logprobs_worker=worker))


def test_every_target_is_scored_once_its_position_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two prompts in one step, of which one is a later part; more targets than logits are held for at once."""
    monkeypatch.setattr(target_scorer, "ROWS", 4)
    draw = torch.Generator().manual_seed(0)
    hidden, head = torch.randn(11, 8, generator=draw), torch.randn(8, 50, generator=draw)
    first, second = answer([0, 0, 2, 3], [7, 9, 9, 1]), answer([1, 5, 6, 6, 8], [3, 3, 4, 49, 0])
    score([PromptPart(first, 0, 4, 0), PromptPart(second, 4, 9, 5)], hidden, lambda rows: rows @ head)
    logprobs = (hidden.double() @ head.double()).log_softmax(-1)
    expected = [[0, 7], [0, 9], [2, 9], [3, 1]], [[6, 3], [7, 4], [7, 49], [9, 0]]
    for got, wanted in zip((first.tensors.logprobs[:, 0], second.tensors.logprobs[1:, 0]), expected, strict=True):
        torch.testing.assert_close(got.double(), logprobs[tuple(torch.tensor(wanted).T)], atol=1e-5, rtol=0)
    # Its position came with an earlier part, or from the cache.
    assert torch.isinf(second.tensors.logprobs[0, 0])


def answer(positions: list[int], tokens: list[int]) -> Any:
    logprobs = torch.full((len(tokens), 1), torch.inf)
    return SimpleNamespace(positions=positions, tokens=tokens, tensors=SimpleNamespace(logprobs=logprobs))
