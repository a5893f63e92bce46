"""What the commands share: arguments, and how things are printed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

if TYPE_CHECKING:
    from ama_ray.pareto import ParetoSet

RunFile = Annotated[Path, typer.Argument(help="The run file (YAML).", show_default=False)]
RunFolder = Annotated[Path, typer.Argument(help="The folder of a finished run.", show_default=False)]
Trials = Annotated[int | None, typer.Option(help="Number of trials, instead of the run file's.")]
Resuming = Annotated[
    Literal["auto", "never", "must"],
    typer.Option(help="Where the folder holds a run: auto goes on with it, never refuses, must insists."),
]

console = Console()


def say(line: str) -> None:
    """Prints a line as it is."""
    console.print(line, highlight=False, markup=False, soft_wrap=True)


def show_front(pareto: ParetoSet) -> None:
    """Prints the front as a table and a sentence."""
    from ama_ray.report import front_table, sentence

    console.print(front_table(pareto))
    say(sentence(pareto))
