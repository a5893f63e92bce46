"""Faults of a swap that change what an engine answers by less than any tolerance: the deep check names each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import torch

from ama_ray.checkpoints.pair import Pair
from ama_ray.config import EngineSettings
from ama_ray.engine import deep_check
from ama_ray.engine.deep_check import Subject
from ama_ray.engine.in_process import InProcessEngine
from ama_ray.engine.verdict import PROMPTS, compare
from ama_ray.engine.worker.swap_extension import SwapError, SwapExtension
from ama_ray.space.search_space import SearchSpace
from testing.checkpoints import edit_weights, make_pair, stored
from tests.support.equality import endpoints
from tests.support.processes import in_own_process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ama_ray.engine.endpoints import Endpoints
    from ama_ray.engine.verdict import Outputs

pytestmark = pytest.mark.engine

SETTINGS = EngineSettings(dtype="float32", kv_cache_gib=1 / 32)
TOLERANCE = 1e-4
"""By which answers of a swapped and of a fresh engine could differ in the deep check of before, in nats."""
COPIED = "model.layers.1.mlp.down_proj"


@dataclass(frozen=True)
class Found:
    """What was seen of a fault.

    Attributes:
        attach: Why the endpoints could not be attached; empty where they could.
        trouble: Why the deep check did not pass; empty where it did.
        answers: What was all of the deep check before: how many prompts have the same greedy tokens after a swap and
            with the merge as vLLM loads it, and the largest difference of their log-probabilities.
    """

    attach: str
    trouble: str
    answers: tuple[int, float]


def leave_buffers() -> None:
    """The swap knows parameters only."""
    SwapExtension._buffers = lambda self: []  # type: ignore[method-assign]


def keep_a_copy() -> None:
    """A layer computes with a copy of its weight, made at each loading, as kernels that pack do."""
    from vllm.model_executor.layers import utils

    from ama_ray.engine.worker import vllm_patches  # noqa: F401

    as_we_do = utils.dispatch_cpu_unquantized_gemm

    def dispatch(layer: Any, remove_weight: bool) -> None:
        as_we_do(layer, remove_weight)
        if getattr(layer, "prefix", "") == COPIED:
            layer.copied = layer.weight.data.clone()
            layer.cpu_linear = lambda x, weight, bias: torch.nn.functional.linear(x, layer.copied, bias)

    utils.dispatch_cpu_unquantized_gemm = dispatch


def swap_experts(ends: Endpoints) -> None:
    """Two experts of a layer have changed places, as the endpoints are from an engine with another layout."""
    (name,) = (name for name in ends.base if "layers.1" in name and "w2_weight" in name)
    for side in (ends.base, *ends.aligned):
        experts = side[name].tensor().view(4, -1)
        experts[[0, 1]] = experts[[1, 0]]


def leave_a_tensor(worker: Any) -> None:
    """The swap leaves one parameter alone."""
    live = dict(worker.model_runner.get_model().named_parameters())[f"{COPIED}.weight"].data_ptr()
    # In place, as vLLM hands over a wrapper of the worker.
    worker._pieces[:] = [piece for piece in worker._pieces if piece.live.data_ptr() != live]


def seen(
    folder: Path,
    before: Callable[[], None] | None = None,
    between: Callable[[Endpoints], None] | None = None,
    after: Callable[[Any], None] | None = None,
) -> Found:
    """Checks a pair with a fault, which is planted before vLLM starts, in the endpoints, or in the worker."""
    if before:
        before()
    pair = Pair.open(str(folder / "base"), str(folder / "aligned"))
    groups = SearchSpace.load("per-layer").resolve(pair.names)
    subject = Subject.of(pair, groups, SETTINGS)
    engine = InProcessEngine(pair.engine_folder, SETTINGS, deep_check.CONTEXT)
    engine.call_workers("keep", deep_check.START)
    ends, attach = endpoints(engine, pair, groups), ""
    if between:
        between(ends)
    try:
        engine.attach(ends)
    except SwapError as error:
        attach = str(error)
        return Found(attach, "", _with_experts_swapped(engine, subject))
    if after:
        engine.call_workers(after)  # type: ignore[arg-type]
    trouble = deep_check.check(engine, subject).verdict.trouble
    engine.call_workers("load_merge", subject.sources, groups.shares_of(subject.ratios[1]))
    engine.swap(subject.ratios[0])
    swapped = _ask(engine, subject)
    engine.call_workers("load_merge", subject.sources, groups.shares_of(subject.ratios[0]))
    return Found(attach, trouble, compare(swapped, _ask(engine, subject)))


def _ask(engine: InProcessEngine, subject: Subject) -> Outputs:
    engine.reset_cache()
    return engine.greedy_logprobs(subject.prompts, deep_check.NEW_TOKENS)


def _with_experts_swapped(engine: InProcessEngine, subject: Subject) -> tuple[int, float]:
    def exchange(worker: Any) -> None:
        (weight,) = (
            parameter.data
            for name, parameter in worker.model_runner.get_model().named_parameters()
            if "layers.1" in name and "w2_weight" in name
        )
        weight[[0, 1]] = weight[[1, 0]]

    before = _ask(engine, subject)
    engine.call_workers(exchange)  # type: ignore[arg-type]
    return compare(before, _ask(engine, subject))


def nudge(base: Path, aligned: Path) -> None:
    """Makes aligned what little training makes of base: a few elements in another last bit."""
    draw = torch.Generator().manual_seed(2)

    def change(tensors: dict[str, torch.Tensor]) -> None:
        for name, tensor in stored(base).items():
            bits = tensor.clone().view(torch.int32)
            bits[torch.rand(tensor.shape, generator=draw) < 0.05] ^= 1
            tensors[name] = bits.view(torch.float32)

    edit_weights(aligned, change)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    nudge(*make_pair(tmp_path, layers=2))
    return tmp_path


def assert_slipped_through(found: Found) -> None:
    equal, largest = found.answers
    print(found)
    assert equal == PROMPTS
    assert largest <= TOLERANCE


def test_nothing_is_found_where_nothing_is_wrong(tiny: Path) -> None:
    found = in_own_process(seen, tiny)
    assert (found.attach, found.trouble, found.answers) == ("", "", (PROMPTS, 0))


def test_a_tensor_of_a_tiny_difference_that_is_not_swapped(tiny: Path) -> None:
    found = in_own_process(seen, tiny, after=leave_a_tensor)
    assert_slipped_through(found)
    assert f"({COPIED}.weight)" in found.trouble


def test_a_stale_copy_beside_the_weights(tiny: Path) -> None:
    found = in_own_process(seen, tiny, keep_a_copy)
    assert_slipped_through(found)
    assert f"({COPIED}.copied)" in found.trouble


def test_two_experts_in_each_others_place(tmp_path: Path) -> None:
    base, aligned = make_pair(tmp_path, "mixtral", 2)
    draw = torch.Generator().manual_seed(3)

    def alike(tensors: dict[str, torch.Tensor]) -> None:
        for name in [name for name in tensors if "experts.1." in name]:
            bits = tensors[name.replace("experts.1.", "experts.0.")].clone().view(torch.int32)
            bits[torch.rand(bits.shape, generator=draw) < 0.05] ^= 1
            tensors[name] = bits.view(torch.float32)

    for folder in (base, aligned):
        edit_weights(folder, alike)
    found = in_own_process(seen, tmp_path, between=swap_experts)
    assert_slipped_through(found)
    assert "another layout" in found.attach
    assert "layers.1" in found.attach
    assert "w2_weight" in found.attach


@pytest.mark.parametrize("buffers_are_left", [False, True])
def test_a_buffer_that_is_left_as_aligned_has_it(buffers_are_left: bool, tmp_path: Path) -> None:
    _, aligned = make_pair(tmp_path, "gemma4_text", 2, tied=True)
    scalar = "model.layers.1.layer_scalar"
    edit_weights(aligned, lambda tensors: tensors[scalar].mul_(1 + 2e-6))
    found = in_own_process(seen, tmp_path, leave_buffers if buffers_are_left else None)
    if buffers_are_left:
        assert_slipped_through(found)
        assert scalar in found.trouble
    else:
        assert (found.trouble, found.answers) == ("", (PROMPTS, 0))
