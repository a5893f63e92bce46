"""A search of base against base with a little noise ends after both, as there is no trade."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import ama_ray
from ama_ray.miniature import ROOT
from ama_ray.report.text.next_steps import next_steps
from tests.support.small_runs import ONE_ENGINE

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.engine
NOISE = 0.05
"""In standard deviations of every weight."""


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("noisy") / "base"
    shutil.copytree(ROOT / "base", folder)
    draw = torch.Generator().manual_seed(0)
    for file in folder.glob("*.safetensors"):
        weights = {
            name: (each.float() + NOISE * each.float().std() * torch.randn(each.shape, generator=draw)).to(each.dtype)
            for name, each in load_file(file).items()
        }
        save_file(weights, file, {"format": "pt"})
    return folder


def test_it_ends_after_base_and_aligned_and_says_so_wherever_one_looks(noisy: Path, tmp_path: Path) -> None:
    fields: dict[str, Any] = {"aligned": str(noisy), "trials": 4, "report": {"points": 1}, "engine": ONE_ENGINE}
    fields["out"] = tmp_path / "run"
    lines: list[str] = []
    run = ama_ray.search(ROOT / "run.yaml", progress=lines.append, **fields)
    assert [trial.uniform_ratio for trial in run.trials] == [0, 1]
    assert not any(trial.report for trial in run.trials)
    (told,) = [line for line in lines if line.startswith("stopped after")]
    assert "the tax of aligned is not beyond error" in told
    assert "tokens a trial" in told
    assert next_steps(run) == [(f"ama-ray plan {tmp_path / 'run'}", "how many items would show a difference")]
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert not summary["trade"]["clear"]
    assert summary["unclear_trade"] in told

    again: list[str] = []
    ama_ray.search(ROOT / "run.yaml", progress=again.append, **fields)
    assert "this run has ended: " in again[-1]
    assert told.partition(": ")[2] in again[-1]
