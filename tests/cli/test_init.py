"""`ama-ray init`, and what `ama-ray check` says a run will take."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from ama_ray.config import RunConfig

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Command


def test_init_writes_a_run_file_from_its_defaults(run: Command, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    assert run("init", file, "--yes").code == 0
    config = RunConfig.load(file)
    assert config.reward[0].kind == "function"
    assert config.out == tmp_path / "runs" / "run"
    assert "# " in file.read_text()
    before = file.read_text()
    ended = run("init", file, "--yes", "--base", "other")
    assert ended.code == 2
    assert "stays as it is" in ended.err
    assert file.read_text() == before


def test_init_asks_four_questions(run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("org/sft\norg/rlhf\n\norg/reward model: v2\npiqa, drop\n"))
    file = tmp_path / "my run.yaml"
    ended = run("init", file)
    assert [f"{number}. " in ended.out for number in (1, 2, 3, 4)] == [True] * 4
    assert "[prompts.jsonl]" in ended.out
    config = RunConfig.load(file)
    assert (config.base, config.aligned, config.reward[0].kind) == ("org/sft", "org/rlhf", "model")
    assert yaml.safe_load(file.read_text())["reward"]["model"] == "org/reward model: v2"
    assert [probe["preset"] for probe in yaml.safe_load(file.read_text())["tax"]] == ["piqa", "drop"]


@pytest.mark.parametrize(
    ("options", "words"), [(["--probes", "piqua"], "no preset 'piqua'"), (["--probes", ","], "tax")]
)
def test_init_refuses_what_check_would(options: list[str], words: str, run: Command, tmp_path: Path) -> None:
    ended = run("init", tmp_path / "run.yaml", "--yes", *options)
    assert ended.code == 2
    assert words in ended.err
    assert not (tmp_path / "run.yaml").exists()
