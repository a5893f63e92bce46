"""The command line: parses, calls one public function, prints."""

from __future__ import annotations

import sys
import traceback
from typing import Annotated

import typer

from ama_ray import __version__
from ama_ray.cli.commands import chat, init, jobs, plan, points, results, schema, search, serve
from ama_ray.errors import UserError
from ama_ray.report.text.terminal import harmless

_GROUPS = {
    "Search": (
        *(search.demo, init.init, schema.schema, search.check, search.search, search.resume, search.extend),
        search.distill,
    ),
    "Look at a run": (results.show, results.table, results.compare, results.report, plan.plan),
    "Use a point": (points.pick, points.export, points.verify, serve.serve, chat.chat),
    "Clusters and servers": (jobs.submit, jobs.status, jobs.stop, jobs.fetch, serve.engine),
}
_commands = typer.Typer(
    name="ama-ray",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _group, _of_group in _GROUPS.items():
    for _command in _of_group:
        _commands.command(rich_help_panel=_group)(_command)
_commands.command(hidden=True)(jobs.pack)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"ama-ray {__version__}")
        raise typer.Exit


@_commands.callback()
def _all_commands(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Finds the layer ratios that average a model from before and after RLHF: most reward, least alignment tax."""
    if debug:
        context.call_on_close(_show_where)


def _show_where() -> None:
    if isinstance(sys.exception(), UserError):
        traceback.print_exc()


def app() -> None:
    """The entry point: a `UserError` is on standard error, and the exit code is 2.

    It is a line, of a file with several mistakes one for each; and, where a run had begun, a sentence that names its
    log.
    """
    try:
        _commands()
    except UserError as error:
        print(harmless(" ".join([f"error: {error}", *getattr(error, "__notes__", ())])), file=sys.stderr)
        sys.exit(2)
