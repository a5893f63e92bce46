"""Training-time and post-hoc methods, and averaging on top of each, on one plane.

    python -m benchmarks.neighbours

Trains two neighbours of the miniature's RLOO model where they are not there yet: with updates off the subspace of
base's skills (`rloo-null`), and with Online Merging (`rloo-ondare`). Then scores every aligned model, the uniform line
of eleven points from base to it, and the front of a search. Everything is kept in a folder; remove it to make all
again.
"""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.neighbours import training
from benchmarks.neighbours.picture import draw
from benchmarks.neighbours.plane import Point, best, gain, line_and_front

BUNDLED = ("rsf", "dpo", "rloo")
TRAINED = ("rloo-null", "rloo-ondare")


def main(
    folder: Path = Path("runs/benchmark-neighbours"),
    trials: Annotated[int, typer.Option(help="Of a search.")] = 20,
    seed: Annotated[int, typer.Option(help="Of the searches.")] = 0,
    tax: Annotated[float, typer.Option(help="The most tax, on the search split, of the points compared.")] = 0.02,
    processes: int = 2,
    picture: Annotated[Path | None, typer.Option(help="PNG file to draw.")] = None,
) -> None:
    """Prints two tables and a JSON object, all of the report split."""
    folder = folder.resolve()
    paths = {name: name for name in BUNDLED} | {name: str(folder / name) for name in TRAINED}
    both = partial(line_and_front, cache=folder / "cache", trials=trials, seed=seed)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        list(pool.map(training.make, TRAINED, [folder / name for name in TRAINED]))
        found = dict(zip(paths, pool.map(both, paths.values()), strict=True))
    lines, fronts = ({name: points[i] for name, points in found.items()} for i in range(2))
    models = {"base": lines[BUNDLED[0]][0]} | {name: points[-1] for name, points in lines.items()}
    console = Console(width=120)
    console.print(_models(models))
    rows = [_compared(name, best(lines[name], tax), best(fronts[name], tax)) for name in paths]
    table = Table(
        title=f"The most reward at a tax of at most {tax:g} on the search split: what it scores on the report"
    )
    for column in rows[0]:
        table.add_column(column, justify="left" if column == "aligned" else "right")
    for row in rows:
        table.add_row(*row.values())
    console.print(table)
    print(json.dumps({"models": {name: point.report.to_row() for name, point in models.items()}, "compared": rows}))
    if picture:
        draw(lines, fronts, picture)


def _models(models: dict[str, Point]) -> Table:
    probes = list(models["base"].report.probes)
    table = Table(title="Models alone, report split")
    for column in ("model", "reward", "tax", *probes):
        table.add_column(column, justify="left" if column == "model" else "right")
    for name, point in models.items():
        shares = [f"{100 * point.report.probes[probe].score:.1f}" for probe in probes]
        table.add_row(name, _shown(point, "reward"), _shown(point, "tax"), *shares)
    return table


def _compared(name: str, uniform: Point, front: Point) -> dict[str, str]:
    more, error = gain(front, uniform)
    return {
        "aligned": name,
        "uniform: reward": _shown(uniform, "reward"),
        "uniform: tax": _shown(uniform, "tax"),
        "search: reward": _shown(front, "reward"),
        "search: tax": _shown(front, "tax"),
        "more reward": f"{more:+.2f} ± {error:.2f}",
    }


def _shown(point: Point, name: str) -> str:
    estimate = point.report.objectives[name]
    digits = 2 if name == "reward" else 3
    return f"{estimate.value:.{digits}f} ± {estimate.se:.{digits}f}"


if __name__ == "__main__":
    typer.run(main)
