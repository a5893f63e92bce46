"""A LoRA adapter in a live engine: only what it touches is stored twice, and the merge is a fresh engine's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ama_ray.config import RunConfig
from ama_ray.evaluation.inputs import Inputs
from ama_ray.miniature import ROOT
from ama_ray.tuning.setup import run_deep_check
from testing.checkpoints import LORA, write_adapter
from tests.support import live_engine
from tests.support.processes import OwnProcess

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.engine


def test_only_what_an_adapter_touches_is_stored_twice(tmp_path: Path) -> None:
    (tmp_path / "base").symlink_to(ROOT / "base")
    write_adapter(tmp_path / "base", tmp_path / "aligned", **LORA)
    process = OwnProcess()
    process.run(live_engine.start, tmp_path, "uniform", live_engine.SETTINGS, 64)
    spans = process.run(live_engine.spans)
    process.run(live_engine.ask, "swap", {"all": 0.5})
    process.close()
    hidden, key = 128, 64
    for name, found in spans.items():
        touched = [(span.start, span.end) for span in found]
        if name.endswith("qkv_proj.weight"):
            # Queries and values; the keys between them are base's.
            assert touched == [(0, hidden * hidden), ((hidden + key) * hidden, (hidden + 2 * key) * hidden)]
        else:
            assert touched == []


def test_the_deep_check_passes(tmp_path: Path) -> None:
    write_adapter(ROOT / "base", tmp_path / "adapter", **LORA)
    config = RunConfig.load(ROOT / "run.yaml", aligned=tmp_path / "adapter", out=tmp_path / "out")
    lines: list[str] = []
    run_deep_check(Inputs.open(config), lines.append)
    assert [line.split(":")[0] for line in lines] == ["deep check passed", "plain vLLM agrees"]
