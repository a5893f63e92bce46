"""What the commands share: arguments, and how things are printed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ama_ray.errors import UserError
from ama_ray.report.text.terminal import PlainConsole, harmless
from ama_ray.storage.names import RUN

if TYPE_CHECKING:
    from ama_ray.run import StoredRun

RunFile = Annotated[Path, typer.Argument(help="The run file (YAML).", show_default=False)]
RunFolders = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="RUN",
        help="The folder of a run; of several, the newest; default: the newest in runs/.",
        show_default=False,
    ),
]
"""Several where a shell has filled in a glob; see `one_run`."""
JsonResult = Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")]
RUNS = Path("runs")
"""Where `ama-ray init` has runs put, and where the newest is looked for when none is named."""
Trials = Annotated[int | None, typer.Option(help="Number of trials, instead of the run file's.")]
Resuming = Annotated[
    Literal["auto", "never", "must"],
    typer.Option(help="Where the folder holds a run: auto goes on with it, never refuses, must insists."),
]

console = PlainConsole()


def one_run(folders: list[Path] | None) -> Path:
    """The run that a command is for: the one that is named, else the newest, which is then told on standard error.

    The newest is the one that was begun, or gone on with, last.

    Raises:
        UserError: None is named, and there is none in `runs/`.
    """
    if folders and len(folders) == 1:
        return folders[0]
    among = folders or (sorted(RUNS.iterdir()) if RUNS.is_dir() else [])
    runs = [folder for folder in among if (folder / RUN).is_file()]
    if not runs:
        where = "among those that are named" if folders else "in the folder runs/ here; name its folder"
        raise UserError(f"there is no run {where}.")
    newest = max(runs, key=lambda folder: (folder / RUN).stat().st_mtime)
    if len(runs) > 1 or not folders:
        complain(f"{newest}: the newest of {len(runs)} {'run' if len(runs) == 1 else 'runs'}")
    return newest


def print_json(value: Any) -> None:
    """Prints a value as a line of JSON."""
    print(json.dumps(value, allow_nan=False), flush=True)


def say(line: str) -> None:
    """Prints a line as it is."""
    console.print(line, highlight=False, soft_wrap=True)


def complain(line: str) -> None:
    """Prints a line on standard error."""
    print(harmless(line), file=sys.stderr)


def show_front(run: StoredRun) -> None:
    """Prints the front as a table, and what the run won."""
    from ama_ray.report.text.front_table import front_table
    from ama_ray.report.text.summary import gist

    console.print(front_table(run))
    say(gist(run))


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
