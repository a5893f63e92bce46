"""The tutorial as it stands, with a real search; then the other commands and snippets of README and docs/."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

import ama_ray
from ama_ray import Run
from tests.support.doc_blocks import ROOT, RUN, blocks
from tests.support.small_runs import ONE_ENGINE

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1200)]  # the tutorial is one fixture: minutes on a busy machine
TUTORIAL = "tutorial.md"
OTHERS = [block for block in blocks() if block.page != TUTORIAL]
APART = {"search", "init", "resume", "extend"}
"""Run by tests of their own below, and by the tutorial."""


def shell(script: str, folder: Path) -> Path:
    """Runs lines as a user types them, until one fails; returns the folder in which they leave the shell."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)}
    command = ["bash", "-ec", f"{script}\npwd > {folder}/.where"]
    subprocess.run(command, cwd=folder, env=environment, check=True)
    where = Path((folder / ".where").read_text().strip())
    (folder / ".where").unlink()
    return where


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the tutorial was followed."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "ama_ray").symlink_to(ROOT / "ama_ray")
    with pytest.MonkeyPatch.context() as patch:
        for block in blocks():
            if block.page != TUTORIAL:
                continue
            patch.chdir(folder)
            if not block.language:
                folder = shell(block.text, folder)
            elif block.language == "json":
                assert Path(block.file).read_text(encoding="utf-8").startswith(block.text)
            elif block.file:
                Path(block.file).write_text(block.text, encoding="utf-8")
            else:
                exec(block.text, {})
    return folder


def test_the_tutorial_ends_with_a_front_a_page_and_a_checkpoint(mine: Path) -> None:
    run = Run.open(mine / "runs" / "first")
    assert run.pareto.split == "report"
    assert run.pareto.aligned.reward > run.pareto.base.reward
    assert run.pareto.aligned.tax > 0
    assert len(run.pareto) > 2
    assert (mine / "runs" / "first" / "report.html").is_file()
    assert (mine / "merged" / "model.safetensors").is_file()


@pytest.fixture
def folder(mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Holds what README and the pages take as given: a run file, and runs in `runs`."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(mine / "runs" / "first" / "run.yaml", "run.yaml")
    for name in ("my-run", "a", "b", "miniature-1"):
        shutil.copytree(mine / "runs" / "first", tmp_path / "runs" / name)
    return tmp_path


def test_the_other_commands_run(folder: Path) -> None:
    ran = set()
    for block in OTHERS:
        for line in block.text.splitlines() if not block.language else ():
            program, name, *_ = line.split()
            if program == "python" or (program == "ama-ray" and name in RUN - APART):
                shell(line, folder)
                ran.add(name)
    assert ran >= RUN - APART
    assert all(Path(made, "model.safetensors").is_file() for made in ("knee", "merged"))
    shell("printf '\\n%.0s' 1 2 3 4 5 | ama-ray init new.yaml", folder)
    assert Path("new.yaml").is_file()


def test_a_run_goes_on_and_is_extended(folder: Path) -> None:
    fields = yaml.safe_load(Path("runs/my-run/run.yaml").read_text(encoding="utf-8"))
    fields["engine"] = ONE_ENGINE
    Path("runs/my-run/run.yaml").write_text(yaml.safe_dump(fields), encoding="utf-8")
    shell("ama-ray extend runs/my-run --trials +2\nama-ray resume runs/my-run", folder)
    trials = pd.read_csv("runs/my-run/trials.csv")
    assert (trials["origin"] == "sampler").sum() == 12 + 2 - 3


@pytest.mark.parametrize("snippet", [each.text for each in OTHERS if each.language == "python" and not each.file])
def test_a_snippet_runs(snippet: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The search itself has run already.
    monkeypatch.setattr(ama_ray, "search", lambda file: Run.open("runs/my-run"), raising=False)
    exec(snippet, {})
    assert Path("merged/model.safetensors").is_file()
