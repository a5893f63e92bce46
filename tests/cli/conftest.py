"""The command line called in this process, and folders of made-up runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from ama_ray.cli import main
from ama_ray.config import RunConfig
from ama_ray.storage.records import write_trials
from tests.support.trials import trial

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.scores.trial import Trial


@dataclass
class Ended:
    code: int
    out: str
    err: str


Command = Callable[..., Ended]
MakeRun = Callable[..., "Path"]
IDENTITY = {"study": "a", "base and aligned": "1", "the items of arc (search split)": "2", "/x/reward.py": "3"}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    def command(*arguments: str | Path) -> Ended:
        monkeypatch.setattr(sys, "argv", ["ama-ray", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main.app()
        return Ended(int(ended.value.code or 0), *capsys.readouterr())

    return command


def made_up(shift: float = 0.0) -> list[Trial]:
    """Base, aligned, the uniform point between, and two of a sampler; trial 4 is the knee."""
    return [
        trial(0, 0.0, 0.0, 0.0),
        trial(1, 4.0, 0.4, 1.0),
        trial(2, 2.0, 0.2, 0.5),
        trial(3, 1.5, 0.01),
        trial(4, 3.5 + shift, 0.05),
    ]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    def make(name: str = "run", shift: float = 0.0, **identity: Any) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        config = RunConfig.from_arguments(
            base="org/base",
            aligned="org/aligned",
            reward={"kind": "function", "prompts": {"file": "p.jsonl"}, "scorer": "s.py:score"},
            tax=[{"kind": "choice", "name": "arc", "family": "reasoning", "file": "arc.jsonl"}],
            out=folder,
        )
        write_trials(folder / "trials.csv", made_up(shift))
        (folder / "run.yaml").write_text(config.to_yaml())
        (folder / "identity.json").write_text(json.dumps(IDENTITY | identity))
        return folder

    return make
