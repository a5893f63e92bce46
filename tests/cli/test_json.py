"""`--json`: every command that has a result prints it as one JSON object, and nothing else on standard output."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import typer
from typer.core import TyperGroup

from ama_ray.cli import main

if TYPE_CHECKING:
    from tests.support.command import Command
    from tests.support.runs import MakeRun

NO_RESULT = {"init", "schema", "serve", "engine", "chat", "pack"}
"""They write a file, print one as it is, or go on until they are stopped."""


def commands() -> dict[str, Any]:
    program = typer.main.get_command(main._commands)
    assert isinstance(program, TyperGroup)
    return dict(program.commands)


@pytest.mark.parametrize("name", sorted(commands().keys() - NO_RESULT))
def test_a_command_with_a_result_takes_json(name: str) -> None:
    assert "--json" in {option for parameter in commands()[name].params for option in parameter.opts}


@pytest.mark.parametrize("command", ["pick", "show", "report", "compare"])
def test_what_looks_at_a_run_prints_one_object(command: str, run: Command, make_run: MakeRun) -> None:
    ended = run(command, make_run(), *([make_run("other")] if command == "compare" else []), "--json")
    assert (ended.code, ended.err) == (0, "")
    assert isinstance(json.loads(ended.out), dict)
    assert ended.out.count("\n") == 1


def test_report_names_the_page(run: Command, make_run: MakeRun) -> None:
    folder = make_run()
    assert json.loads(run("report", folder, "--json").out) == {"page": str(folder / "report.html")}
    assert (folder / "report.html").is_file()


def test_an_error_is_not_on_standard_output(run: Command, make_run: MakeRun) -> None:
    ended = run("pick", make_run(), "--max-tax", "-1", "--json")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: ")
