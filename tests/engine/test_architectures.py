"""Families of models: after a swap the engine is what vLLM makes of the merge, and answers as plain vLLM does."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ama_ray.config import EngineSettings
from ama_ray.engine.deep_check import CONTEXT
from ama_ray.engine.in_process import plain_greedy_logprobs
from ama_ray.engine.verdict import PROMPTS
from testing.families import FAMILIES
from testing.family import make_family
from tests.support.equality import exactness
from tests.support.processes import in_own_process

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.engine, pytest.mark.architectures]

SETTINGS = EngineSettings(dtype="bfloat16", kv_cache_gib=1 / 32)
SPACE = {"groups": [{"name": "layer-{layer}"}, {"name": "outside"}]}
ALWAYS = ("DeepSeek V3", "gpt-oss", "Granite 4")
"""What is computed from a parameter, what vLLM's reloading leaves out, what it transforms; the others are slow."""
MOST = 0.02
"""Nats between kernels that add up in another order: this project's plain weights, and vLLM's packed ones."""
RUNS = [name for name, family in FAMILIES.items() if not family.refusal]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in ALWAYS else pytest.mark.slow) for name in RUNS], ids=str
)
def test_it_is_exact(name: str, tmp_path: Path) -> None:
    if FAMILIES[name].needs_torchvision:
        pytest.importorskip("torchvision")
    make_family(tmp_path, FAMILIES[name])
    verdict, (equal, largest) = exactness(tmp_path, SPACE, SETTINGS)
    print(f"{name}: {verdict.trouble or verdict}; plain vLLM {equal} of {PROMPTS}, {largest:.3f}")
    assert verdict.passed, verdict.trouble
    assert (verdict.equal, verdict.largest_difference) == (verdict.prompts, 0)
    assert equal == PROMPTS
    assert largest <= MOST


def test_a_pair_in_float32_is_converted_as_in_an_export(tmp_path: Path) -> None:
    """Mamba's `A` is computed from what is stored, so it tells whether that was rounded before."""
    make_family(tmp_path, replace(FAMILIES["Nemotron-H"], in_float32=("",)))
    verdict, (equal, largest) = exactness(tmp_path, SPACE, SETTINGS, by_workers=True)
    print(f"converted: {verdict.trouble or verdict}; plain vLLM {equal} of {PROMPTS}, {largest:.3f}")
    assert verdict.passed, verdict.trouble
    assert equal == PROMPTS
    assert largest <= MOST


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in RUNS], ids=str)
def test_what_vllm_does_not_run_here_is_not_run_by_plain_vllm_either(name: str, tmp_path: Path) -> None:
    _, aligned = make_family(tmp_path, FAMILIES[name])
    with pytest.raises(Exception) as found:
        in_own_process(plain_greedy_logprobs, aligned, SETTINGS, CONTEXT, [[5, 6]], 1)
    # What comes from another process has its traceback for a cause.
    assert FAMILIES[name].refusal in f"{found.value} {found.value.__cause__}"
