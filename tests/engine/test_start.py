"""An engine without GPUs sees none, before anything has asked CUDA how many there are. With stand-ins for vLLM."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from ama_ray.config import EngineSettings
from ama_ray.engine.start import start_engine
from ama_ray.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("gpus", "visible"), [(0, ""), (1, "3"), (None, "3")])
def test_an_engine_sees_the_gpus_that_it_may_use(
    gpus: int | None, visible: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    engine: Any = SimpleNamespace(InProcessEngine=lambda *args: os.environ["CUDA_VISIBLE_DEVICES"])
    platform = SimpleNamespace(current_platform=SimpleNamespace(is_cpu=lambda: True))
    monkeypatch.setitem(sys.modules, "ama_ray.engine.in_process", engine)
    monkeypatch.setitem(sys.modules, "vllm.platforms", platform)
    seen: Any = start_engine(tmp_path, EngineSettings(gpus=gpus), 32)
    assert seen == visible


def test_a_vllm_for_gpus_is_not_started_without_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    platform = SimpleNamespace(current_platform=SimpleNamespace(is_cpu=lambda: False))
    monkeypatch.setitem(sys.modules, "vllm.platforms", platform)
    with pytest.raises(UserError, match=r"engine\.gpus: 0"):
        start_engine(tmp_path, EngineSettings(gpus=0), 32)
