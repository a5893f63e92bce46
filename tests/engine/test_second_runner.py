"""vLLM's second model runner, its kernels interpreted, answers what transformers computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers

from ama_ray.checkpoints import merging
from ama_ray.checkpoints.pair import Pair
from ama_ray.engine.requests import Continuations
from ama_ray.space.search_space import SearchSpace
from testing.checkpoints import make_pair
from tests.support import live_engine
from tests.support.processes import OwnProcess
from tests.support.scoring import (
    EVERYTHING,
    PROMPTS,
    SINGLE,
    SPACE,
    TOLERANCE,
    Live,
    expected,
    furthest,
    in_small_steps,
    vllms_own,
)
from tests.support.second_runner import use_second_runner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.engine, pytest.mark.slow]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("second")
    make_pair(folder)
    return folder


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[Live]:
    process = OwnProcess(fresh=True)
    process.run(use_second_runner)
    engine = Live(folder, process=process)
    engine.swap(engine.merge)
    yield engine
    process.close()


@pytest.fixture(scope="module")
def merge(folder: Path, engine: Live) -> Any:
    pair = Pair.open(str(folder / "base"), str(folder / "aligned"))
    merging.export(pair, SearchSpace.load(SPACE).resolve(pair.names).shares_of(engine.merge), folder / "merge")
    return transformers.AutoModelForCausalLM.from_pretrained(folder / "merge", dtype=torch.float32).eval()


def runner() -> str:
    (found,) = live_engine._engines[0][0].call_workers("layout")
    return str(found["runner"])


def test_it_is_the_second_one(engine: Live) -> None:
    assert engine.process.run(runner) == "vllm.v1.worker.cpu.model_runner"


def test_loglikelihoods_equal_transformers(engine: Live, merge: Any) -> None:
    requests = [*EVERYTHING, *SINGLE]
    theirs = expected(merge, requests)
    cold, warm = engine.loglikelihoods(requests), engine.loglikelihoods(requests)
    print(f"furthest from transformers: {furthest(cold, theirs):.1g} cold, {furthest(warm, theirs):.1g} warm")
    assert furthest(cold, theirs) <= TOLERANCE
    assert furthest(warm, theirs) <= TOLERANCE


@pytest.mark.parametrize("most", [7, 50])
def test_prompts_may_be_split_between_steps(engine: Live, merge: Any, most: int) -> None:
    assert furthest(engine.process.run(in_small_steps, EVERYTHING, most), expected(merge, EVERYTHING)) <= TOLERANCE


def test_what_others_ask_of_their_prompts_vllm_answers_itself(engine: Live, merge: Any) -> None:
    whole = [Continuations(prompt[:1], (prompt[1:],)) for prompt in PROMPTS]
    own, ours = engine.process.run(vllms_own, PROMPTS, EVERYTHING)
    assert furthest(own, expected(merge, whole)) <= TOLERANCE
    assert furthest(ours, expected(merge, EVERYTHING)) <= TOLERANCE


def test_a_cache_of_a_few_blocks(folder: Path, merge: Any) -> None:
    """Requests are put off half-way, which this runner forgets and begins anew."""
    process = OwnProcess(fresh=True)
    process.run(use_second_runner)
    small = Live(folder, 10 / 2**16, process)
    try:
        small.swap(small.merge)
        assert furthest(process.run(in_small_steps, EVERYTHING, 50), expected(merge, EVERYTHING)) <= TOLERANCE
    finally:
        process.close()
