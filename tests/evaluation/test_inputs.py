"""What a run reads from disk, opened."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from ama_ray.config import RunConfig
from ama_ray.engine.deep_check import CONTEXT
from ama_ray.evaluation.inputs import Inputs
from ama_ray.miniature import ROOT


@pytest.mark.parametrize(("longest", "wanted", "context"), [(5, None, CONTEXT), (90, None, 90), (5, 40, 40)])
def test_an_engine_takes_the_longest_request_and_the_deep_check(longest: int, wanted: int | None, context: int) -> None:
    opened = Inputs.open(RunConfig.load(ROOT / "run.yaml"))
    evaluations: Any = {split: SimpleNamespace(context_length=longest) for split in opened.evaluations}
    engine = opened.config.engine.model_copy(update={"max_model_len": wanted})
    inputs = replace(opened, evaluations=evaluations, config=opened.config.model_copy(update={"engine": engine}))
    assert inputs.longest_request == longest
    assert inputs.context_length == context
