from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest
import typer

from ama_ray.cli import main
from ama_ray.report.text.next_steps import next_steps
from ama_ray.scores.trial import Trial
from tests.support.runs import run_of
from tests.support.trials import five_trials, trial

if TYPE_CHECKING:
    from pathlib import Path

BASE = trial(0, -0.2, 0.0, 0.0)


def names(trials: list[Trial], folder: Path) -> list[str]:
    """The commands that are next, and the files."""
    commands = typer.main.get_command(main._commands)
    found = []
    for step, why in next_steps(run_of(trials, folder)):
        assert why
        program, *rest = shlex.split(step)
        if program == "ama-ray":
            assert isinstance(commands, typer.core.TyperGroup)
            commands.commands[rest[0]].make_context(rest[0], rest[1:]).close()  # they are options that there are
            assert rest[1] == str(folder)
            found.append(rest[0])
        else:
            found.append(program.rpartition("/")[2])
    return found


@pytest.mark.parametrize(
    ("trials", "expected"),
    [
        (five_trials(), ["report.html", "chat", "export", "extend"]),
        ([BASE, trial(10, -1.0, 0.258, 1.0)], ["report.html", "extend"]),
        ([Trial(0, "failed", "baseline", {"a": 0.0}, reason="oom")], ["log.txt"]),
    ],
    ids=["a front", "no trade", "no trial"],
)
def test_what_is_next_depends_on_what_came_out(trials: list[Trial], expected: list[str], tmp_path: Path) -> None:
    assert names(trials, tmp_path) == expected
