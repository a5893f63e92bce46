"""After a swap, the engine is what vLLM makes of the merge, and answers as plain vLLM does on the export."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pytest
import torch

from ama_ray.config import EngineSettings
from testing.checkpoints import ARCHITECTURES, edit, edit_weights, make_pair
from tests.support import equality

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.support.equality import Result

pytestmark = pytest.mark.engine

AT_ONCE = min(4, len(os.sched_getaffinity(0)))
"""Engines of one thread and about a GiB each."""
ALWAYS_TIED = ("gemma2",)
"""vLLM knows no other."""


@dataclass(frozen=True)
class Case:
    architecture: str
    layers: int
    tied: bool
    dtype: Literal["float32", "bfloat16"] = "float32"
    eager: bool = True
    repack_experts: bool = True

    def __str__(self) -> str:
        words = [self.architecture, f"{self.layers}-layers", "tied" if self.tied else "untied", self.dtype]
        return "-".join([*words, *["compiled"] * (not self.eager), *["plain-experts"] * (not self.repack_experts)])


SETTINGS = [
    # Compiling takes seconds a layer, and is the same for each.
    Case("llama", 4 if eager else 1, tied, dtype, eager)
    for eager in (False, True)
    for tied in (False, True)
    for dtype in ("float32", "bfloat16")
]
SHAPES = [
    Case(architecture, layers, tied=architecture in ALWAYS_TIED) for architecture in ARCHITECTURES for layers in (4, 26)
]
SOUND = list(dict.fromkeys(SETTINGS + SHAPES))
ALWAYS = [
    Case("llama", 4, tied=False),
    Case("llama", 4, tied=True, dtype="bfloat16"),
    Case("llama", 1, tied=False, eager=False),
    Case("mixtral", 4, tied=False),
]
"""One of each kind; the others, which take minutes, are slow."""
WRONG = Case("mixtral", 2, tied=False, repack_experts=False)


def leave_experts_alone() -> None:
    """Undoes one of the project's patches of vLLM."""
    from vllm.model_executor.layers.fused_moe.unquantized_fused_moe_method import UnquantizedFusedMoEMethod as Experts

    as_vllm_does = Experts._setup_kernel
    from ama_ray.engine.worker import vllm_patches  # noqa: F401

    Experts._setup_kernel = as_vllm_does


def check(case: Case, folder: Path) -> Result:
    settings = EngineSettings(dtype=case.dtype, enforce_eager=case.eager, kv_cache_gib=1 / 32)
    spoil = None if case.repack_experts else leave_experts_alone
    return equality.check(folder, "per-layer", settings, spoil)


def make_and_check(case: Case, folder: Path) -> Result:
    base, aligned = make_pair(
        folder,
        case.architecture,
        case.layers,
        case.tied,
        dtype=getattr(torch, case.dtype),
        max_shard_size="1MB" if case.layers > 4 else None,
    )
    several = case.layers > 4
    assert all((len(list(path.glob("*.safetensors"))) > 1) == several for path in (base, aligned))
    return check(case, folder)


@pytest.fixture(scope="module")
def results(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[Case, Future[Result]]]:
    """All cases that were selected, under way."""
    items = [item for item in request.session.items if item.path == request.path]
    wanted = [case for case in (*SOUND, WRONG) if any(f"[{case}]" in item.name for item in items)]
    pool = ThreadPoolExecutor(AT_ONCE)
    yield {case: pool.submit(make_and_check, case, tmp_path_factory.mktemp(str(case))) for case in wanted}
    pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=() if case in ALWAYS else pytest.mark.slow) for case in SOUND], ids=str
)
def test_a_swap_equals_a_fresh_engine(case: Case, results: Mapping[Case, Future[Result]]) -> None:
    result = results[case].result()
    print(f"{case}: {result.verdict}; plain vLLM {result.plain}; ends {result.ends}")
    assert result.verdict.passed, result.verdict.trouble
    assert result.verdict.tensors >= 7 * case.layers
    assert (result.verdict.equal, result.verdict.largest_difference) == (result.verdict.prompts, 0)
    for equal, largest in (result.plain, *result.ends):
        assert equal == result.prompts
        assert largest <= {"float32": 1e-4, "bfloat16": 1e-2}[case.dtype]
    assert result.repeats


@pytest.mark.parametrize("case", [WRONG], ids=str)
def test_a_swap_that_does_not_is_refused(case: Case, results: Mapping[Case, Future[Result]]) -> None:
    result = results[case].result()
    print(f"{case}: {result.verdict.trouble}")
    assert result.plain[0] < result.prompts
    assert "model.layers.0.block_sparse_moe.experts" in result.verdict.trouble


def test_a_base_in_a_wider_precision_is_converted_as_in_an_export(tmp_path: Path) -> None:
    _, aligned = make_pair(tmp_path)
    edit_weights(aligned, lambda tensors: tensors.update({n: t.bfloat16() for n, t in tensors.items()}))
    edit(aligned / "config.json", lambda config: config.update(dtype="bfloat16"))
    result = check(Case("llama", 4, tied=False), tmp_path)
    assert result.verdict.passed, result.verdict.trouble
    assert result.plain[0] == result.prompts
