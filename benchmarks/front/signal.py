"""What is recommended where signal is scarce, by what it is truly worth?

    python -m benchmarks.front.signal --problem rsf:per-layer:25:0.2 --seeds 10

Contestants search `benchmarks.front.modelled`: few items, and aligned models that are weaker. A search recommends a
front and a knee, chosen from what it saw; both are judged by the truth. Every finished search is a file in the folder
of results, as in `benchmarks.front.search`; `--tables` prints what is there.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from ama_ray.pareto.hypervolume import non_dominated
from benchmarks.front.contestants import CONTESTANTS
from benchmarks.front.modelled import Modelled
from benchmarks.front.search import read, result_file, run_all, write

if TYPE_CHECKING:
    from collections.abc import Sequence

BUDGETS = (20, 40)


class Judged(NamedTuple):
    """What one search recommends, by the truth.

    Attributes:
        front: Hypervolume of the front, as a multiple of that of all uniform points.
        knee: Reward of the knee beyond that of the best uniform point of at most its tax, as a share of what aligned
            wins.
    """

    front: float
    knee: float


def run(problem: str, name: str, seed: int, trials: int, folder: Path) -> None:
    """One search, to the file of its results; nothing where that is complete."""
    file = result_file(folder, problem, name, seed)
    if len(read(file)) >= trials:
        return
    torch.set_num_threads(1)
    landscape = Modelled(problem, seed, folder)
    contestant = CONTESTANTS[name](landscape, seed)
    rows: list[dict[str, Any]] = []
    for _ in range(trials):
        ratios = contestant.ask()
        scores = landscape.scores(ratios)
        contestant.tell(ratios, scores)
        rows.append({"ratios": ratios, "seen": [each.value for each in scores.objectives.values()]})
    write(file, rows)


def judge(landscape: Modelled, rows: Sequence[dict[str, Any]]) -> Judged:
    """Judges what a search recommends: front and knee of what it saw.

    Args:
        landscape: That it searched.
        rows: Its trials.
    """
    seen, truth = np.array([row["seen"] for row in rows]), landscape.truth([row["ratios"] for row in rows])
    base, aligned = (
        np.array([each.value for each in landscape.scores(dict.fromkeys(landscape.groups, ratio)).objectives.values()])
        for ratio in (0.0, 1.0)
    )
    front = np.flatnonzero(non_dominated(seen))
    # As `ParetoSet.pick` does it; an objective in which nothing is seen to be traded does not count.
    shares = (seen[front] - base) / np.where(aligned > base, aligned - base, np.inf)
    reward, tax = truth[front[np.argmax(shares[:, 0] - shares[:, 1])]]
    return Judged(
        landscape.volume(truth[front]) / landscape.volume(landscape.line),
        (reward - landscape.uniform_reward(tax)) / (landscape.line[-1, 0] - landscape.line[0, 0]),
    )


def judged(problem: str, folder: Path, seeds: int) -> dict[str, dict[int, list[Judged]]]:
    """What was recommended in all finished searches, by contestant, then by trials."""
    landscapes = {seed: Modelled(problem, seed, folder) for seed in range(seeds)}
    found: defaultdict[str, dict[int, list[Judged]]] = defaultdict(lambda: {budget: [] for budget in BUDGETS})
    for file in sorted((folder / problem.replace(":", "-")).glob("*.jsonl")):
        name, _, seed = file.stem.rpartition("-")
        for budget in BUDGETS if int(seed) < seeds else ():
            rows = read(file)[:budget]
            if len(rows) == budget:
                found[name][budget].append(judge(landscapes[int(seed)], rows))
    return dict(found)


def table(problem: str, folder: Path, seeds: int) -> dict[str, Any]:
    """Prints what the recommendations of every contestant are worth."""
    line = Modelled(problem, 0, folder).line
    won, cost = line[-1] - line[0]
    shown = Table(title=f"{problem}: aligned wins {won:.2f} of reward for {cost:.3f} of tax")
    columns = ("seeds", "front: median", "worst", "seeds above 1", "knee: median", "seeds above 0")
    for column in ("contestant", *(f"{what}, {budget}" for budget in BUDGETS for what in columns)):
        shown.add_column(column, justify="right")
    numbers: dict[str, Any] = {}
    for name, by_budget in sorted(judged(problem, folder, seeds).items()):
        cells = []
        for budget, results in by_budget.items():
            if not results:
                cells += [""] * len(columns)
                continue
            fronts, knees = np.array(results).T
            summary = [np.median(fronts), fronts.min(), np.mean(fronts >= 1), np.median(knees), np.mean(knees > 0)]
            numbers.setdefault(name, {})[budget] = dict(zip(columns, [len(results), *map(float, summary)], strict=True))
            shares = (f"{each:.0%}" for each in (summary[2], summary[4]))
            cells += [str(len(results)), f"{summary[0]:.3f}", f"{summary[1]:.3f}", next(shares)]
            cells += [f"{summary[3]:+.3f}", next(shares)]
        shown.add_row(name, *cells)
    Console(width=200).print(shown)
    return numbers


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
        Modelled(problem[0], 0, folder)  # fitted once, before there are processes
        run_all(run, problem, contestant or list(CONTESTANTS), seeds, trials, folder, processes)
    print(json.dumps({each: table(each, folder, seeds) for each in problem}))


if __name__ == "__main__":
    typer.run(main)
