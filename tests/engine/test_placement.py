"""Where endpoints lie, decided by sizes alone; with a stand-in for a GPU, which is not on every machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from ama_ray.config import EngineSettings
from ama_ray.engine.placement import UTILISATION, place

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for shard in ("one.safetensors", "two.safetensors"):
        (tmp_path / shard).write_bytes(bytes(500))
    return tmp_path


def test_without_a_gpu_they_stay_in_the_object_store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert place(EngineSettings(), folder)[0] == "object_store"


@pytest.mark.parametrize(
    ("setting", "memory", "expected"),
    [
        ("auto", 10_000, ("accelerator", UTILISATION - 0.2)),
        ("auto", 5_000, ("accelerator", UTILISATION - 0.4)),
        ("auto", 4_999, ("pinned", UTILISATION)),
        ("object_store", 10_000, ("object_store", UTILISATION)),
        ("accelerator", 4_000, ("accelerator", UTILISATION - 0.5)),
    ],
)
def test_with_a_gpu_they_are_on_it_where_three_copies_fit(
    setting: str, memory: int, expected: tuple[str, float], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (memory, memory))
    settings = EngineSettings.model_validate({"endpoints": setting})
    where, left = place(settings, folder)
    assert where == expected[0]
    assert left == pytest.approx(expected[1])
