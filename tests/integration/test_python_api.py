"""The example of docs/python.md as it stands: closures, classes, a dataset and a sampler in place of files."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from ama_ray import Run
from tests.support.doc_blocks import blocks

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]
(EXAMPLE,) = (block for block in blocks() if block.page == "python.md" and block.file)


def ran(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    (folder / EXAMPLE.file).write_text(script, encoding="utf-8")
    return subprocess.run([sys.executable, EXAMPLE.file], cwd=folder, capture_output=True, text=True, check=False)


def test_the_example_searches_goes_on_and_refuses_what_has_changed(tmp_path: Path) -> None:
    first = ran(tmp_path, EXAMPLE.text)
    assert first.returncode == 0, first.stderr
    assert "points; the first one has" in first.stdout
    told = re.search(r"^(\d+) trials ended$", first.stdout, re.MULTILINE)
    assert told
    assert int(told[1]) > 8
    assert (tmp_path / "mine.png").stat().st_size > 10_000
    run = Run.open(tmp_path / "runs" / "mine")
    assert run.config.sampler.endswith("NSGAIISampler")
    assert {path.suffix for path in (run.folder / "given").iterdir()} == {".jsonl", ".pickle"}
    base, aligned = run.point("base"), run.point("aligned")
    assert aligned.reward > base.reward

    more = ran(tmp_path, EXAMPLE.text.replace("trials=8", "trials=9"))
    assert more.returncode == 0, more.stderr
    assert len(Run.open(run.folder).searched) == 9
    assert len(list((run.folder / "given").iterdir())) == 4

    for before, after, name in (
        ("worth=0.5", "worth=0.6", "reward.0.scorer"),
        ("/ len(right)", "/ max(len(right), 1)", "tax.0.scorer"),
        ('rows("reversal")', 'rows("reversal")[1:]', "tax.0.file"),
    ):
        changed = ran(tmp_path, EXAMPLE.text.replace(before, after).replace("trials=8", "trials=10"))
        assert changed.returncode == 1
        assert f"would not be comparable with new ones, as these differ: {name} (was" in changed.stderr
