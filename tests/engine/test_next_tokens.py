"""Next tokens and their log-probabilities are those of transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import transformers

from ama_ray.config import EngineSettings
from ama_ray.engine.asking import MAX_CANDIDATES
from ama_ray.engine.requests import NextToken
from testing.checkpoints import make_pair
from tests.support import live_engine
from tests.support.processes import OwnProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.engine

TOLERANCE = 1e-4
CONTEXT = 96
CONTEXTS = [tuple(np.random.default_rng(n).integers(4, 300, n).tolist()) for n in (1, 2, 31, 32, 33, 64, 90, 90)]
REQUESTS = [NextToken(context) for context in CONTEXTS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("next_tokens")
    make_pair(folder)
    return folder


@pytest.fixture(scope="module")
def ask(folder: Path) -> Iterator[Callable[[str, Any], Any]]:
    process = OwnProcess()
    settings = EngineSettings(dtype="float32", kv_cache_gib=1 / 32)
    process.run(live_engine.start, folder, "uniform", settings, CONTEXT)
    yield lambda method, argument: process.run(live_engine.ask, method, argument)
    process.close()


@torch.no_grad()
def expected(folder: Path) -> list[torch.Tensor]:
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return [model(torch.tensor([context])).logits[0, -1].double().log_softmax(-1) for context in CONTEXTS]


@pytest.mark.parametrize(("ratio", "weights"), [(0.0, "base"), (1.0, "aligned")])
def test_next_tokens_equal_transformers(
    ask: Callable[[str, Any], Any], folder: Path, ratio: float, weights: str
) -> None:
    ask("swap", {"all": ratio})
    # Twice: the second time from the cache.
    for answers in ask("next_tokens", REQUESTS), ask("next_tokens", REQUESTS):
        for answer, theirs in zip(answers, expected(folder / weights), strict=True):
            assert list(answer.values()) == pytest.approx(theirs.topk(MAX_CANDIDATES).values.tolist(), abs=TOLERANCE)
            assert list(answer.values()) == pytest.approx(theirs[list(answer)].tolist(), abs=TOLERANCE)


def test_nothing_asked_nothing_answered(ask: Callable[[str, Any], Any]) -> None:
    assert ask("next_tokens", []) == []


def test_a_request_takes_one_token_more_than_its_context() -> None:
    assert NextToken((5, 6, 7)).length == 4
