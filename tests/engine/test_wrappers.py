"""Models of text and images: the language model is swapped as exactly as one of text alone."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
import torch

from ama_ray.checkpoints.pair import Pair
from ama_ray.config import EngineSettings
from ama_ray.engine.deep_check import NEW_TOKENS, check_prompts
from ama_ray.engine.model_classes import import_model_classes
from ama_ray.engine.verdict import PROMPTS, compare
from ama_ray.errors import UserError
from tests.support import equality
from tests.support.processes import in_own_process
from tests.support.wrappers import WRAPPERS, make_wrapper_pair

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.engine.verdict import Outputs

pytestmark = pytest.mark.engine
SETTINGS = EngineSettings(dtype="float32", kv_cache_gib=1 / 32)
needs_torchvision = pytest.mark.skipif(not find_spec("torchvision"), reason="vLLM needs torchvision for these models")


def by_transformers(folder: Path, prompts: list[list[int]]) -> Outputs:
    """Greedy tokens after each prompt with their log-probabilities, past the end token."""
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    answers: Outputs = []
    for prompt in prompts:
        tokens, answer = list(prompt), []
        for _ in range(NEW_TOKENS):
            with torch.inference_mode():
                logprobs = model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, -1].log_softmax(-1)
            tokens.append(int(logprobs.argmax()))
            answer.append((tokens[-1], float(logprobs.max())))
        answers.append(answer)
    return answers


@needs_torchvision
@pytest.mark.slow
@pytest.mark.parametrize("name", [each for each in WRAPPERS if each != "qwen3_5"])
def test_a_swap_equals_a_fresh_engine_and_transformers_on_the_export(name: str, tmp_path: Path) -> None:
    make_wrapper_pair(tmp_path, name)
    found = equality.check(tmp_path, "per-layer", SETTINGS)
    print(f"{name}: {found.verdict}; plain vLLM {found.plain}; ends {found.ends}")
    assert found.verdict.passed, found.verdict.trouble
    for equal, largest in (found.plain, *found.ends):
        assert equal == found.prompts
        assert largest <= 1e-4
    pair = Pair.open(str(tmp_path / "base"), str(tmp_path / "aligned"))
    prompts = check_prompts(pair.tokenizer_folder, pair.vocabulary_size)
    equal, largest = compare(found.merge, in_own_process(by_transformers, tmp_path / "merge", prompts))
    assert equal == found.prompts
    assert largest <= 1e-3


@needs_torchvision
@pytest.mark.slow
def test_so_it_does_where_vllm_computes_in_bfloat16_alone(tmp_path: Path) -> None:
    make_wrapper_pair(tmp_path, "qwen3_5", dtype=torch.bfloat16)
    verdict, (equal, largest) = equality.exactness(
        tmp_path, "per-layer", SETTINGS.model_copy(update={"dtype": "bfloat16"})
    )
    print(f"qwen3_5: {verdict}; plain vLLM {equal} of {PROMPTS}, {largest:.3f}")
    assert verdict.passed, verdict.trouble
    assert equal == PROMPTS
    assert largest <= 0.02


@pytest.mark.skipif(find_spec("torchvision") is not None, reason="torchvision is there")
def test_a_model_that_needs_torchvision_says_so(tmp_path: Path) -> None:
    base, _ = make_wrapper_pair(tmp_path, "qwen3_vl")
    with pytest.raises(UserError, match="needs torchvision for Qwen3VLForConditionalGeneration, and it cannot be"):
        in_own_process(import_model_classes, base)
