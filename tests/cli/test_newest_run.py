"""Which run a command is for, where a glob finds several or none is named."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from ama_ray.cli.console import one_run
from ama_ray.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Command
    from tests.support.runs import MakeRun


@pytest.fixture
def three(make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Runs of which the second was begun last, in `runs/` of the working folder."""
    monkeypatch.chdir(tmp_path)
    runs = [make_run(f"runs/{name}", shift) for name, shift in (("a", 0.0), ("b", 1.0), ("c", 0.0))]
    for folder, begun in zip(runs, (100, 300, 200), strict=True):
        os.utime(folder / "run.yaml", (begun, begun))
    return runs


def test_of_several_it_is_the_newest(run: Command, three: list[Path], tmp_path: Path) -> None:
    (tmp_path / "runs/notes").mkdir()
    ended = run("pick", *three, tmp_path / "runs/notes", "--json")
    assert ended.err == f"{three[1]}: the newest of 3 runs\n"
    assert json.loads(ended.out) == json.loads(run("pick", three[1], "--json").out)
    assert json.loads(ended.out) != json.loads(run("pick", three[0], "--json").out)


def test_of_none_it_is_the_newest_in_runs(run: Command, three: list[Path]) -> None:
    ended = run("pick", "--json")
    assert ended.err == "runs/b: the newest of 3 runs\n"
    assert json.loads(ended.out) == json.loads(run("pick", three[1], "--json").out)


def test_one_is_taken_as_it_is(run: Command, three: list[Path], tmp_path: Path) -> None:
    assert run("pick", three[0], "--json").err == ""
    assert "not the folder of a run" in run("show", tmp_path).err


def test_where_there_is_none_that_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="there is no run in the folder runs/ here; name its folder"):
        one_run(None)
    with pytest.raises(UserError, match="there is no run among those that are named"):
        one_run([tmp_path, tmp_path / "none"])
