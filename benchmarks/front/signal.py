"""What is recommended where signal is scarce, by what it is truly worth?

    python -m benchmarks.front.signal --problem rsf:per-layer:25:0.2 --seeds 10

Contestants search `benchmarks.front.modelled`: few items, and aligned models that are weaker. A search recommends a
front and a knee, chosen from what it saw; both are judged by the truth. Every finished search is a file in the folder
of results, as in `benchmarks.front.search`; `--tables` prints what is there.
"""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from ama_ray.pareto.hypervolume import non_dominated
from benchmarks.front.contestants import CONTESTANTS
from benchmarks.front.modelled import Modelled

if TYPE_CHECKING:
    from collections.abc import Sequence

BUDGETS = (20, 40)


class Judged(NamedTuple):
    """What one search recommends, by the truth.

    Attributes:
        volume: Hypervolume of the front, as a share of that of all uniform points.
        knee: Reward of the knee beyond that of the uniform point of the same tax, as a share of what aligned wins.
    """

    volume: float
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
        if len(rows) in BUDGETS and hasattr(contestant, "expected"):
            rows[-1]["expected"] = contestant.expected()
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    part.replace(file)


def result_file(folder: Path, problem: str, name: str, seed: int) -> Path:
    """Where the trials of a search are, one JSON object a line."""
    return folder / problem.replace(":", "-") / f"{name.replace(' ', '-')}-{seed}.jsonl"


def read(file: Path) -> list[dict[str, Any]]:
    """The trials of a search, in their order; none where it has not been done."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def judge(landscape: Modelled, rows: Sequence[dict[str, Any]], values: Sequence[Sequence[float]]) -> Judged:
    """Judges what a search recommends.

    Args:
        landscape: That it searched.
        rows: Its trials.
        values: Reward and tax of each, by which front and knee are chosen.
    """
    points, seen = [row["ratios"] for row in rows], np.array(values)
    ends = landscape.scores(dict.fromkeys(landscape.groups, 0.0)), landscape.scores(dict.fromkeys(landscape.groups, 1.0))
    base, aligned = (np.array([each.value for each in end.objectives.values()]) for end in ends)
    front = np.flatnonzero(non_dominated(seen))
    shares = (seen[front] - base) / np.where(aligned > base, aligned - base, np.inf)
    truth = landscape.truth(points)
    reward, tax = truth[front[np.argmax(shares[:, 0] - shares[:, 1])]]
    won = landscape.line[-1, 0] - landscape.line[0, 0]
    return Judged(
        landscape.volume(truth[front]) / landscape.volume(landscape.line),
        (reward - landscape.uniform_reward(tax)) / won,
    )


def table(problem: str, folder: Path, seeds: int) -> dict[str, Any]:
    """Prints what the recommendations of every contestant are worth."""
    lands = {seed: Modelled(problem, seed, folder) for seed in range(seeds)}
    judged: dict[str, dict[int, list[Judged]]] = {}
    for file in sorted((folder / problem.replace(":", "-")).glob("*.jsonl")):
        name, _, seed = file.stem.rpartition("-")
        rows = read(file)
        for budget in BUDGETS:
            if int(seed) >= seeds or len(rows) < budget:
                continue
            part = rows[:budget]
            ways = {name: [row["seen"] for row in part]}
            if "expected" in part[-1]:
                ways[f"{name}, as expected"] = part[-1]["expected"]
            for way, values in ways.items():
                result = judge(lands[int(seed)], part, values)
                judged.setdefault(way, {b: [] for b in BUDGETS})[budget].append(result)
    land = lands[0]
    won, cost = land.line[-1] - land.line[0]
    title = f"{problem}: aligned wins {won:.3f} for {cost:.3f}, true hypervolume of uniform {land.volume(land.line):.3f}"
    shown = Table(title=title)
    for column in ("contestant", *(f"{what}, {b}" for b in BUDGETS for what in ("seeds", "front / uniform: median", "worst", "above", "knee above", "by"))):
        shown.add_column(column, justify="right")
    numbers: dict[str, Any] = {}
    for name, by_budget in sorted(judged.items(), key=lambda each: -_median(each[1])):
        cells = []
        for budget, results in by_budget.items():
            volumes, knees = (np.array(each) for each in zip(*results, strict=True)) if results else ([], [])
            if not len(volumes):
                cells += [""] * 6
                continue
            found = {
                "seeds": len(volumes), "median": float(np.median(volumes)), "worst": float(min(volumes)),
                "above": float(np.mean(volumes >= 1)), "knee above": float(np.mean(knees > 0)), "knee": float(np.median(knees)),
            }
            numbers.setdefault(name, {})[budget] = found
            cells += [str(found["seeds"]), f"{found['median']:.3f}", f"{found['worst']:.3f}", f"{found['above']:.0%}", f"{found['knee above']:.0%}", f"{found['knee']:+.3f}"]
        shown.add_row(name, *cells)
    Console(width=200).print(shown)
    return numbers


def _median(by_budget: dict[int, list[Judged]]) -> float:
    return max((float(np.median([each.volume for each in results])) for results in by_budget.values() if results), default=0.0)


def main(
    problem: Annotated[list[str], typer.Option(help="ALIGNED:SPACE:ITEMS:STRENGTH[:DEPTH]")] = ["rsf:per-layer:25:0.2"],  # noqa: B006
    contestant: Annotated[list[str], typer.Option(help="Names; all by default.")] = [],  # noqa: B006
    seeds: int = 10,
    trials: int = 40,
    folder: Path = Path("runs/benchmark-search"),
    processes: int = 2,
    minutes: Annotated[float, typer.Option(help="No search is started after so many.")] = 1e9,
    tables: Annotated[bool, typer.Option("--tables", help="Only print what is there.")] = False,
) -> None:
    """Runs what has not been run yet, then prints a table by problem."""
    names = contestant or list(CONTESTANTS)
    jobs = [(each, name, seed) for seed in range(seeds) for each in problem for name in names]
    jobs = [job for job in jobs if len(read(result_file(folder, *job))) < trials]
    if not tables and jobs:
        Modelled(problem[0], 0, folder)  # fitted once, before there are processes
        end = monotonic() + 60 * minutes
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            running = {}
            while jobs and monotonic() < end or running:
                while jobs and len(running) < processes and monotonic() < end:
                    job = jobs.pop(0)
                    running[pool.submit(run, *job, trials, folder)] = job
                done = next(as_completed(running))
                print(*running.pop(done), done.exception() or "", flush=True)
        if jobs:
            raise SystemExit(1)
    print(json.dumps({each: table(each, folder, seeds) for each in problem}))


if __name__ == "__main__":
    typer.run(main)
