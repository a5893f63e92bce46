"""Several aligned models in an engine: the deep check, and plain vLLM on the export."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from ama_ray.checkpoints import merging
from ama_ray.checkpoints.pair import Pair
from ama_ray.config import EngineSettings
from ama_ray.engine import deep_check
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
    from ama_ray.engine.verdict import Outputs

pytestmark = pytest.mark.engine

SPACE = "attention-mlp"


def opened(folder: Path) -> Pair:
    return Pair.open(str(folder / "base"), [str(folder / name) for name in NAMES])


def checked(folder: Path, settings: EngineSettings, *, by_workers: bool) -> tuple[Checked, list[list[int]], Outputs]:
    """The deep check, what it asked, and the answers of the second model alone."""
    pair = opened(folder)
    groups = pair.groups(SearchSpace.load(SPACE), NAMES)
    subject = Subject.of(pair, groups, settings)
    engine = InProcessEngine(pair.engine_folder, settings, deep_check.CONTEXT)
    engine.call_workers("keep", deep_check.START)
    if by_workers:
        engine.attach_pair(subject.sources, pair.checksum, pair.numbers(groups))
    else:
        ends = endpoints(engine, pair, groups)
        # What is equal in base is stored once.
        assert ends.num_bytes < (1 + len(NAMES)) * sum(end.tensor().nbytes for end in ends.base.values())
        engine.attach(ends, len(NAMES))
    found = deep_check.check(engine, subject)
    engine.swap(groups.alone(2))
    engine.reset_cache()
    return found, subject.prompts, engine.greedy_logprobs(subject.prompts, deep_check.NEW_TOKENS)


@pytest.mark.parametrize("by_workers", [False, True], ids=["object store", "workers"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_swap_of_three_models_is_their_export(dtype: str, by_workers: bool, tmp_path: Path) -> None:
    make_several(tmp_path, layers=3, dtype=getattr(torch, dtype))
    settings = EngineSettings(dtype=dtype, kv_cache_gib=0.1)
    found, prompts, alone = in_own_process(checked, tmp_path, settings, by_workers=by_workers)
    assert found.verdict.passed, found.verdict
    assert found.verdict.equal == 2 * PROMPTS
    pair = opened(tmp_path)
    groups = pair.groups(SearchSpace.load(SPACE), NAMES)
    ratios, _ = deep_check.check_ratios(groups.names)
    merging.export(pair, groups.shares_of(ratios), tmp_path / "merge")
    for answers, folder in ((found.answers, tmp_path / "merge"), (alone, tmp_path / NAMES[1])):
        plain = in_own_process(
            plain_greedy_logprobs, folder, settings, deep_check.CONTEXT, prompts, deep_check.NEW_TOKENS
        )
        equal, largest = compare(answers, plain)
        assert equal == PROMPTS
        assert largest <= 1e-4
