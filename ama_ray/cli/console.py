"""What the commands share: arguments, and how things are printed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ama_ray.errors import UserError
from ama_ray.report.text.terminal import PlainConsole

if TYPE_CHECKING:
    from ama_ray.run import StoredRun

RunFile = Annotated[Path, typer.Argument(help="The run file (YAML).", show_default=False)]
RunFolderPath = Annotated[Path, typer.Argument(help="The folder of a run.", show_default=False)]
Trials = Annotated[int | None, typer.Option(help="Number of trials, instead of the run file's.")]
Resuming = Annotated[
    Literal["auto", "never", "must"],
    typer.Option(help="Where the folder holds a run: auto goes on with it, never refuses, must insists."),
]

console = PlainConsole()


def say(line: str) -> None:
    """Prints a line as it is."""
    console.print(line, highlight=False, soft_wrap=True)


def show_front(run: StoredRun) -> None:
    """Prints the front as a table and a sentence."""
    from ama_ray.report import front_table
    from ama_ray.report.text.summary import sentence

    console.print(front_table(run))
    say(sentence(run))


def least_rewards(values: list[str]) -> float | dict[str, float] | None:
    """What `--min-reward` asks for: a number, or a number by name.

    Raises:
        UserError: One is no number.
    """
    if len(values) == 1 and "=" not in values[0]:
        try:
            return float(values[0])
        except ValueError:
            pass
    return numbers("--min-reward", values, "give a number, or NAME=NUMBER for each reward") or None


def numbers(option: str, values: list[str], hint: str = "give NAME=NUMBER for each objective") -> dict[str, float]:
    """The numbers by name of an option.

    Raises:
        UserError: One is no number.
    """
    try:
        return {name.strip(): float(value) for name, _, value in (each.partition("=") for each in values)}
    except ValueError:
        raise UserError(f"{option} {' '.join(values)}: {hint}.") from None
