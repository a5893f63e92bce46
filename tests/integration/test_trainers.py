"""The example of docs/trainers.md as it stands: a model is trained by TRL, and its training ends with a front."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import torch

from ama_ray import Run
from ama_ray.miniature import ROOT
from testing.checkpoints import stored
from tests.support.doc_blocks import blocks

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]
OF_PAGE = [block for block in blocks() if block.page == "trainers.md"]
RUN_FILE = next(block for block in OF_PAGE if block.language == "yaml")
(SCRIPT,) = (block for block in OF_PAGE if block.file)


def test_a_training_run_with_the_callback_ends_with_a_front(tmp_path: Path) -> None:
    (tmp_path / "search.yaml").write_text(RUN_FILE.text, encoding="utf-8")
    (tmp_path / SCRIPT.file).write_text(SCRIPT.text, encoding="utf-8")
    for file in (ROOT / "reward.py", *(ROOT / "data" / "search").glob("*.jsonl")):
        shutil.copy(file, tmp_path)
    done = subprocess.run(
        [sys.executable, SCRIPT.file], cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    run = Run.open(tmp_path / "dpo-search" / "run")
    assert f"{len(run.front)} points; the knee has a reward of {run.pick().reward}" in done.stdout
    assert run.config.sources == (str(ROOT / "base"), str(tmp_path / "dpo"))
    assert run.pareto.split == "report"
    assert run.pareto.aligned.reward > run.pareto.base.reward + 1
    before, after = stored(ROOT / "base"), stored(tmp_path / "dpo")
    assert any(not torch.equal(before[name].float(), after[name].float()) for name in before)
