"""What is recommended where signal is scarce, by what it is truly worth?

    python -m benchmarks.front.signal --problem rsf:per-layer:25:0.2 --seeds 10

Contestants search `benchmarks.front.modelled`: few items, and aligned models that are weaker; or, as
`real:SPACE:ITEMS`, the table of a real pair (`benchmarks.front.real`). Then every one's candidates are
scored again on as many other items, beside the eleven uniform points, as a run does it. Front and knee are those of a
run, and both are judged by the truth. Every finished search is a file in the folder of results, as in
`benchmarks.front.search`; `--tables` prints what is there.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from ama_ray.pareto.named_points import knee
from benchmarks.front.contestants import CONTESTANTS
from benchmarks.front.modelled import Modelled
from benchmarks.front.real import RealPair
from benchmarks.front.search import read, result_file, run_all, write
from testing.recommendation import recommended

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.pareto.pareto_set import ParetoSet
    from benchmarks.front.fitted import Fitted

BUDGETS = (20, 40)


class Judged(NamedTuple):
    """What a run recommends after one search, by the truth.

    Attributes:
        front: Hypervolume of the front, as a multiple of that of the eleven uniform points.
        whole: As a multiple of that of 201 uniform points.
        knee: Reward of the knee beyond that of the best uniform point of at most its tax, as a share of what aligned
            wins; 0 where it is a uniform point, NaN where there is none, for want of a trade beyond error.
    """

    front: float
    whole: float
    knee: float


def _landscape(problem: str, seed: int, folder: Path) -> Fitted:
    return RealPair(problem, seed) if problem.startswith("real:") else Modelled(problem, seed, folder)


def run(problem: str, name: str, seed: int, trials: int, folder: Path) -> None:
    """One search, to the file of its results; nothing where that is complete."""
    file = result_file(folder, problem, name, seed)
    if len(read(file)) >= trials:
        return
    torch.set_num_threads(1)
    landscape = _landscape(problem, seed, folder)
    contestant = CONTESTANTS[name](landscape, seed)
    rows: list[dict[str, Any]] = []
    for _ in range(trials):
        ratios = contestant.ask()
        contestant.tell(ratios, landscape.scores(ratios))
        rows.append({"ratios": ratios})
    write(file, rows)


def judge(landscape: Fitted, rows: Sequence[dict[str, Any]]) -> Judged:
    """Judges what a run recommends after a search.

    Args:
        landscape: That was searched.
        rows: The trials of the search.
    """
    pareto = recommended(landscape, [row["ratios"] for row in rows])
    front, eleven = (
        landscape.volume(landscape.truth([trial.ratios for trial in trials]))
        for trials in (pareto.front, pareto.uniform)
    )
    return Judged(front / eleven, front / landscape.volume(landscape.line), _knee(landscape, pareto))


def _knee(landscape: Fitted, pareto: ParetoSet) -> float:
    top = knee(pareto)
    if top is None:
        return math.nan
    if top.uniform_ratio is not None:
        return 0.0
    ((reward, tax),) = landscape.truth([top.ratios])
    return float((reward - landscape.uniform_reward(tax)) / (landscape.line[-1, 0] - landscape.line[0, 0]))


def judged(problem: str, folder: Path, seeds: int) -> dict[tuple[str, int], list[Judged]]:
    """What was recommended after all finished searches, by contestant and trials."""
    landscapes = {seed: _landscape(problem, seed, folder) for seed in range(seeds)}
    found: defaultdict[tuple[str, int], list[Judged]] = defaultdict(list)
    for file in sorted((folder / problem.replace(":", "-")).glob("*.jsonl")):
        name, _, seed = file.stem.rpartition("-")
        for budget in BUDGETS if int(seed) < seeds else ():
            rows = read(file)[:budget]
            if len(rows) == budget:
                found[name, budget].append(judge(landscapes[int(seed)], rows))
    return dict(found)


def table(problem: str, folder: Path, seeds: int) -> list[dict[str, Any]]:
    """Prints what the recommendations of every contestant are worth; returns it row by row."""
    line = _landscape(problem, 0, folder).line
    won, cost = line[-1] - line[0]
    shown = Table(title=f"{problem}: aligned wins {won:.2f} of reward for {cost:.3f} of tax")
    rows = [
        {"contestant": name, "trials": trials} | _summary(results)
        for (name, trials), results in sorted(judged(problem, folder, seeds).items())
    ]
    for column in rows[0] if rows else ():
        shown.add_column(column, justify="right")
    for row in rows:
        shown.add_row(*(f"{each:.3f}" if isinstance(each, float) else str(each) for each in row.values()))
    Console(width=120).print(shown)
    return rows


def _summary(results: Sequence[Judged]) -> dict[str, float | int]:
    fronts, wholes, knees = np.array(results).T
    there = knees[np.isfinite(knees)]
    return {
        "seeds": len(results),
        "front": float(np.median(fronts)),
        "front, worst": float(fronts.min()),
        "front, of 201": float(np.median(wholes)),
        "knee": float(np.median(there)) if len(there) else math.nan,
        "knee, worst": float(there.min()) if len(there) else math.nan,
        "knees better": int((there > 0).sum()),
        "no knee": len(knees) - len(there),
    }


def main(
    problem: Annotated[list[str], typer.Option(help="ALIGNED:SPACE:ITEMS:STRENGTH[:DEPTH]")] = ["rsf:per-layer:25:0.2"],  # noqa: B006
    contestant: Annotated[list[str], typer.Option(help="Names; all by default.")] = [],  # noqa: B006
    seeds: int = 10,
    trials: int = 40,
    folder: Path = Path("runs/benchmark-search"),
    processes: int = 2,
    tables: Annotated[bool, typer.Option("--tables", help="Only print what is there.")] = False,
) -> None:
    """Runs what has not been run yet, then prints a table by problem."""
    if not tables:
        _landscape(problem[0], 0, folder)  # fitted once, before there are processes
        run_all(run, problem, contestant or list(CONTESTANTS), seeds, trials, folder, processes)
    print(json.dumps({each: table(each, folder, seeds) for each in problem}))


if __name__ == "__main__":
    typer.run(main)
