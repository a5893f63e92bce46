"""Commands that take the folder of a run: show, table, compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ama_ray.cli.console import RunFolder, console, least_rewards, say, show_front
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

    paper = PaperTable.open(run, max_tax=max_tax, min_reward=least_rewards(min_reward or []))
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
