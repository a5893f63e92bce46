"""What the benchmark of searches scores is what transformers scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from transformers import AutoTokenizer, LlamaForCausalLM

from ama_ray.miniature import ROOT
from ama_ray.miniature.recipe import evaluate
from testing.landscape import Landscape

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.long


def test_a_landscape_has_the_scores_of_transformers(tmp_path: Path) -> None:
    landscape = Landscape("rsf", "three-parts", tmp_path)
    scores = landscape.scores(dict.fromkeys(landscape.groups, 1.0), "search")
    model = LlamaForCausalLM.from_pretrained(ROOT / "rsf", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(ROOT / "rsf")
    for name, probe in scores.probes.items():
        rows = evaluate.read_rows(ROOT / "data" / "search" / f"{name}.jsonl")
        assert round(100 * probe.score) == evaluate.probe_score(model, tokenizer, rows), name
    torch.manual_seed(0)
    # Sampled with other random numbers.
    sampled = evaluate.reward_score(model, tokenizer, evaluate.read_rows(ROOT / "data" / "search" / "prompts.jsonl"))
    reward = scores.objectives["reward"]
    assert abs(reward.value - sampled) < 4 * 2**0.5 * reward.se


def test_it_is_computed_once_and_differs_between_ratios(tmp_path: Path) -> None:
    landscape = Landscape("rsf", "three-parts", tmp_path)
    ratios = dict(zip(landscape.groups, (0.2, 0.9, 0.4), strict=True))
    first = landscape.scores(ratios, "search")
    assert (
        landscape.scores(ratios, "search")
        == first
        == Landscape("rsf", "three-parts", tmp_path).scores(ratios, "search")
    )
    assert landscape.scores(ratios | {landscape.groups[0]: 0.9}, "search") != first
