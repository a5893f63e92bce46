"""The command line called in this process, and folders of made-up runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from ama_ray.cli import main
from tests.support.command import Ended
from tests.support.runs import DIGESTS, run_of, write_run
from tests.support.trials import five_trials

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Command
    from tests.support.runs import MakeRun


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    def command(*arguments: str | Path) -> Ended:
        monkeypatch.setattr(sys, "argv", ["ama-ray", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main.app()
        return Ended(int(ended.value.code or 0), *capsys.readouterr())

    return command


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    def make(name: str = "run", shift: float = 0.0, **digests: Any) -> Path:
        return write_run(run_of(five_trials(shift), tmp_path / name), DIGESTS | digests)

    return make
