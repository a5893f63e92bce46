"""The command line: parses, calls one public function, prints."""

from __future__ import annotations

import sys

import typer

from ama_ray.cli import engine, jobs, points, results, searching
from ama_ray.errors import UserError

_commands = typer.Typer(
    name="ama-ray",
    help="Finds the layer ratios that average a model from before and after RLHF: most reward, least alignment tax.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for _command in (
    *(searching.search, searching.resume, searching.extend),
    *(results.show, results.table, results.compare, points.pick, points.export),
    *(searching.check, searching.distill, engine.engine),
    *(jobs.submit, jobs.status, jobs.stop, jobs.fetch),
):
    _commands.command()(_command)
_commands.command(hidden=True)(jobs.pack)


def app() -> None:
    """The entry point: a `UserError` is one sentence on standard error and exit code 2."""
    try:
        _commands()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
