"""What does the loop around the engines cost? Runs of 1 to 32 trial actors whose trials only sleep, against the ideal.

    python -m benchmarks.speed.scale --sampler random --sampler auto

The ideal is `actors / seconds` trials a second. Real are `search()`'s own suggester, searcher, recorder, stoppers, and
its call of Tune, on a Ray of its own; every trial is `SwapTrial.step`, with items as many as the miniature's, scored by
the run's objectives, written to `items/` and `trials.csv`. Stand-ins: an engine that only keeps the ratios, an
evaluation that sleeps and makes its items up from them, and CPUs and memory of which Ray is told that they are there.
Early stopping is off, so that trials are equally long. As engines take long to start, and so start together, the actors
begin their first trials together.

Prints a table and a JSON object. Of the ideal, in trials of either split:

- steady: from when every actor works on its first trial until the last trial of the search begins,
- search: from the first trial's start until the end of the last trial of the search,
- whole: from before Tune starts until it has returned, the actors' processes and the whole report included.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.speed import scale_loop
from benchmarks.speed.swap import in_process


def main(
    actors: Annotated[list[int], typer.Option(min=1)] = [1, 2, 4, 8, 16, 32],  # noqa: B006
    sampler: Annotated[list[str], typer.Option(help="as in a run file")] = ["random", "auto"],  # noqa: B006
    seconds: Annotated[float, typer.Option(help="that a trial sleeps")] = 1.0,
    trials: Annotated[int, typer.Option(min=5, help="of the search, for each actor; 40 in all at least")] = 15,
) -> None:
    """Runs every sampler on every number of actors and prints a row for each."""
    rows: list[dict[str, Any]] = []
    for name in sampler:
        for count in actors:
            measured = in_process(scale_loop.measure, count, name, seconds, max(40, trials * count))
            rows.append({"sampler": name, "actors": count} | measured)
            Console(stderr=True).print(rows[-1])
    table = Table(title=f"trials that sleep {seconds:g} s")
    for column in rows[0]:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()))
    Console(width=120).print(table)
    print(json.dumps(rows))


if __name__ == "__main__":
    typer.run(main)
