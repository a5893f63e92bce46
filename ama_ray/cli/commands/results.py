"""Commands that take the folder of a run: show, table, compare, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ama_ray.cli.console import JsonResult, RunFolders, console, least_rewards, one_run, print_json, say
from ama_ray.errors import UserError
from ama_ray.report.text.terminal import harmless


def show(
    run: RunFolders = None,
    sort: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="A column of trials.csv to sort by, rising; falling with a minus before."),
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Also write the front to this file.")] = None,
    latex: Annotated[bool, typer.Option("--latex", help="Print LaTeX instead (booktabs).")] = False,
    as_json: JsonResult = False,
) -> None:
    """Show the front of a run. Example: ama-ray show runs/my-run --sort=-reward."""
    from ama_ray.report.json_fields import front_fields
    from ama_ray.report.text.front_table import by_column, front_table
    from ama_ray.report.text.latex import front_latex
    from ama_ray.report.text.summary import gist
    from ama_ray.run import StoredRun
    from ama_ray.storage.records import write_trials

    stored = StoredRun.open(one_run(run))
    pareto = stored.pareto
    front = by_column(pareto, sort) if sort else pareto.front
    if csv:
        try:
            write_trials(csv, front)
        except OSError as error:
            raise UserError(f"--csv {csv}: cannot be written ({error.strerror}).") from None
    if latex:
        print(harmless(front_latex(pareto, front)))
        return
    if as_json:
        print_json(front_fields(stored, front))
        return
    console.print(front_table(stored, front))
    say(gist(stored))


def compare(
    runs: Annotated[list[Path], typer.Argument(help="The folders of two or more runs.", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Also draw them: a .png, .svg or .pdf file.")] = None,
    as_json: JsonResult = False,
) -> None:
    """Several runs on one plane. Example: ama-ray compare runs/a runs/b -o compare.svg."""
    from ama_ray.report.run_comparison import RunComparison

    comparison = RunComparison.open(runs)
    if out:
        comparison.plot(out)
    if as_json:
        print_json(comparison.fields())
        return
    for note in comparison.notes:
        say(note)
    console.print(comparison.table())
    if out:
        say(f"{out} shows them.")


def table(  # noqa: PLR0917
    run: RunFolders = None,
    max_tax: Annotated[
        float | None, typer.Option(help="Also the point with the most reward at this tax (0-1).")
    ] = None,
    min_reward: Annotated[
        list[str] | None,
        typer.Option(help="Also the point with the least tax at this reward; NAME=NUMBER where there are several."),
    ] = None,
    latex: Annotated[bool, typer.Option("--latex", help="Print LaTeX instead (booktabs).")] = False,
    csv: Annotated[Path | None, typer.Option(help="Also write every number to this file.")] = None,
    as_json: JsonResult = False,
) -> None:
    """Base, aligned, uniform averaging and the picks, with 95% intervals. Example: ama-ray table runs/my-run."""
    from ama_ray.report.paper_table import PaperTable
    from ama_ray.report.text import paper_table

    paper = PaperTable.open(one_run(run), max_tax=max_tax, min_reward=least_rewards(min_reward or []))
    if csv:
        try:
            paper_table.write_csv(paper, csv)
        except OSError as error:
            raise UserError(f"--csv {csv}: cannot be written ({error.strerror}).") from None
    if latex:
        print(harmless(paper_table.to_latex(paper)))
        return
    if as_json:
        print_json(paper_table.fields(paper))
        return
    for note in paper.notes:
        say(note)
    for part in paper_table.to_terminal(paper, min(max(console.width, 80), 100)):
        console.print()
        console.print(part)
    say(paper_table.LEGEND)


def report(
    run: RunFolders = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Default: report.html in the folder.")] = None,
    as_json: JsonResult = False,
) -> None:
    """Write the page of a run, finished or not. Example: ama-ray report runs/my-run."""
    from ama_ray.report.html.render import write_html
    from ama_ray.run import StoredRun

    stored = StoredRun.open(one_run(run))
    try:
        page = write_html(stored, out)
    except OSError as error:
        raise UserError(f"{out or stored.folder}: the page cannot be written ({error.strerror}).") from None
    if as_json:
        print_json({"page": str(page)})
    else:
        say(f"{page} holds the report; open it in a browser.")
