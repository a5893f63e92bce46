"""Commands that take the folder of a run: show, table, report, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ama_ray.cli.console import RunFolder, console, say, show_front
from ama_ray.errors import UserError


def show(run: RunFolder) -> None:
    """Show the front of a run. Example: ama-ray show runs/my-run."""
    from ama_ray.pareto import ParetoSet

    show_front(ParetoSet.open(run))


def table(
    run: RunFolder,
    max_tax: Annotated[
        float | None, typer.Option(help="Also the point with the most reward at this tax (0-1).")
    ] = None,
    min_reward: Annotated[
        list[str] | None,
        typer.Option(help="Also the point with the least tax at this reward; NAME=NUMBER where there are several."),
    ] = None,
    latex: Annotated[bool, typer.Option("--latex", help="Print LaTeX instead (booktabs).")] = False,
    csv: Annotated[Path | None, typer.Option(help="Also write every number to this file.")] = None,
) -> None:
    """Base, aligned, uniform averaging and the picks, with 95% intervals. Example: ama-ray table runs/my-run."""
    from ama_ray.report import paper_output
    from ama_ray.report.paper_table import PaperTable

    paper = PaperTable.open(run, max_tax=max_tax, min_reward=_least(min_reward or []))
    if csv:
        try:
            paper_output.write_csv(paper, csv)
        except OSError as error:
            raise UserError(f"--csv {csv}: cannot be written ({error.strerror}).") from None
    if latex:
        print(paper_output.to_latex(paper))
        return
    for note in paper.notes:
        say(note)
    for part in paper_output.to_terminal(paper, min(max(console.width, 80), 100)):
        console.print()
        console.print(part)
    say(paper_output.LEGEND)


def _least(values: list[str]) -> float | dict[str, float] | None:
    """What `--min-reward` asks for: a number, or a number by name."""
    try:
        if len(values) == 1 and "=" not in values[0]:
            return float(values[0])
        return {name: float(value) for name, _, value in (each.partition("=") for each in values)} or None
    except ValueError:
        raise UserError(f"--min-reward {' '.join(values)}: give a number, or NAME=NUMBER for each reward.") from None


def report(
    run: RunFolder,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Default: report.html in the folder.")] = None,
) -> None:
    """Write the page of a run, finished or not. Example: ama-ray report runs/my-run."""
    from ama_ray.pareto import ParetoSet
    from ama_ray.report.html import write_html

    pareto = ParetoSet.open(run)
    try:
        page = write_html(pareto, run, out)
    except OSError as error:
        raise UserError(f"{out or run}: the page cannot be written ({error.strerror}).") from None
    say(f"{page} holds the report; open it in a browser.")


def export(
    run: RunFolder,
    point: Annotated[str, typer.Option(help="Number of a trial, or `knee`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the checkpoint.")],
) -> None:
    """Write a point as a Hugging Face checkpoint. Example: ama-ray export runs/my-run --point knee -o merged."""
    from ama_ray.pareto import ParetoSet

    pareto = ParetoSet.open(run)
    if point != "knee" and not point.isdecimal():
        raise UserError(f"--point {point}: give the number of a trial, or knee.")
    folder = pareto.export(pareto.pick("knee") if point == "knee" else int(point), out)
    say(f"{folder} holds the merged checkpoint.")
