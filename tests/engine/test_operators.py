"""What an operator makes of aligned models, in an engine: no folder holds what it starts on, and the swap is sound."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from ama_ray.checkpoints import merging
from ama_ray.checkpoints.pair import Pair
from ama_ray.config import EngineSettings
from ama_ray.config.delta import Delta
from ama_ray.engine import deep_check
from ama_ray.engine.arguments import pair_arguments
from ama_ray.engine.deep_check import Subject
from ama_ray.engine.in_process import InProcessEngine, plain_greedy_logprobs
from ama_ray.engine.verdict import PROMPTS, compare
from ama_ray.space.search_space import SearchSpace
from testing.several import NAMES, make_several
from tests.support.equality import endpoints
from tests.support.processes import in_own_process

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.engine.deep_check import Checked
    from ama_ray.space.groups import Groups

pytestmark = pytest.mark.engine

SETTINGS = EngineSettings(dtype="bfloat16", kv_cache_gib=0.1)


def opened(folder: Path, delta: Delta) -> tuple[Pair, Groups]:
    pair = Pair.open(str(folder / "base"), [str(folder / name) for name in NAMES], delta=delta)
    return pair, pair.groups(SearchSpace.load("attention-mlp"), ("",) if delta.joins else NAMES)


def checked(folder: Path, delta: Delta, *, by_workers: bool) -> tuple[Checked, list[list[int]]]:
    """The deep check, and what it asked."""
    pair, groups = opened(folder, delta)
    subject = Subject.of(pair, groups, SETTINGS)
    engine = InProcessEngine(pair.engine_folder, SETTINGS, deep_check.CONTEXT, pair_arguments(pair))
    engine.call_workers("keep", deep_check.START)
    if by_workers:
        engine.attach_pair(subject.sources, pair.checksum, pair.numbers(groups))
    else:
        engine.attach(endpoints(engine, pair, groups), len(pair.endpoints) - 1)
    return deep_check.check(engine, subject), subject.prompts


@pytest.mark.parametrize(
    ("delta", "by_workers"),
    [(Delta(kind="ties"), True), (Delta(kind="dare", keep=0.5, seed=0), False)],
    ids=["ties, workers", "dare, object store"],
)
def test_a_swap_is_the_export(delta: Delta, by_workers: bool, tmp_path: Path) -> None:
    make_several(tmp_path, layers=3, dtype=torch.bfloat16)
    found, prompts = in_own_process(checked, tmp_path, delta, by_workers=by_workers)
    assert found.verdict.passed, found.verdict
    assert found.verdict.equal == 2 * PROMPTS
    pair, groups = opened(tmp_path, delta)
    ratios, _ = deep_check.check_ratios(groups.names)
    merging.export(pair, groups.shares_of(ratios), tmp_path / "merge")
    plain = in_own_process(
        plain_greedy_logprobs, tmp_path / "merge", SETTINGS, deep_check.CONTEXT, prompts, deep_check.NEW_TOKENS
    )
    equal, largest = compare(found.answers, plain)
    assert equal == PROMPTS
    assert largest <= 1e-4
