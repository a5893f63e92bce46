"""The command line: parses, calls one public function, prints."""

from __future__ import annotations

import sys
import traceback
from typing import Annotated

import typer

from ama_ray.cli.commands import chat, init, jobs, plan, points, results, search, serve
from ama_ray.errors import UserError
from ama_ray.report.text.terminal import harmless

_commands = typer.Typer(name="ama-ray", no_args_is_help=True, pretty_exceptions_enable=False)
for _command in (
    *(init.init, search.check, search.search, search.resume, search.extend),
    *(results.show, results.table, results.compare, results.report, plan.plan, points.pick, points.export),
    *(search.distill, serve.serve, chat.chat, serve.engine),
    *(jobs.submit, jobs.status, jobs.stop, jobs.fetch),
):
    _commands.command()(_command)
_commands.command(hidden=True)(jobs.pack)


@_commands.callback()
def _all_commands(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")] = False,
) -> None:
    """Finds the layer ratios that average a model from before and after RLHF: most reward, least alignment tax."""
    if debug:
        context.call_on_close(_show_where)


def _show_where() -> None:
    if isinstance(sys.exception(), UserError):
        traceback.print_exc()


def app() -> None:
    """The entry point: a `UserError` is one line on standard error and exit code 2.

    The line is the sentence of the error, and, where a run had begun, one that names its log.
    """
    try:
        _commands()
    except UserError as error:
        print(harmless(" ".join([f"error: {error}", *getattr(error, "__notes__", ())])), file=sys.stderr)
        sys.exit(2)
