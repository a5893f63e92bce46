"""How good is the front after so many trials, and who gets there first?

    python -m benchmarks.front.search --problem rsf:per-layer --seeds 10 --trials 80

Contestants search the miniature's pairs, as `testing.landscape` computes them. Every finished search is a file in
the folder of results, and what is there is not done again: the command can be stopped and typed again, with more
problems, seeds or trials. `--tables` prints what is there. Base and aligned count as trials of those who ask for them.
"""

from __future__ import annotations

import json
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch
import typer

from benchmarks.front import search_tables
from benchmarks.front.contestants import CONTESTANTS
from testing.landscape import Landscape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PARALLEL = " x "
"""In a contestant's name, before the number of trials it runs at once."""


def run(problem: str, name: str, seed: int, trials: int, folder: Path) -> None:
    """One search, to the file of its results; nothing where that is complete.

    Args:
        problem: Aligned model and search space, as `rsf:per-layer`.
        name: Of a contestant; `NAME x 8` runs eight trials at once.
        seed: Of the contestant.
        trials: In all.
        folder: Of the results.
    """
    file = result_file(folder, problem, name, seed)
    if len(read(file)) >= trials:
        return
    torch.set_num_threads(1)
    aligned, space = problem.split(":")
    landscape = Landscape(aligned, space, folder / "cache")
    sort, _, at_once = name.partition(PARALLEL)
    contestant = CONTESTANTS[sort](landscape, seed)
    rows: list[dict[str, Any]] = []
    running: deque[dict[str, float]] = deque()
    while len(rows) < trials:
        while len(running) < int(at_once or 1) and len(rows) + len(running) < trials:
            running.append(contestant.ask())
        ratios = running.popleft()
        scores = landscape.scores(ratios, "search")
        contestant.tell(ratios, scores)
        rows.append({"ratios": ratios} | {key: each.value for key, each in scores.objectives.items()})
    write(file, rows)


def result_file(folder: Path, problem: str, name: str, seed: int) -> Path:
    """Where the trials of a search are, one JSON object a line."""
    return folder / problem.replace(":", "-") / f"{name.replace(' ', '-')}-{seed}.jsonl"


def read(file: Path) -> list[dict[str, Any]]:
    """The trials of a search, in their order; none where it has not been done."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def write(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Writes the trials of a search, which is then complete."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    part.replace(file)


def run_all(
    run: Callable[[str, str, int, int, Path], None],
    problems: Sequence[str],
    names: Sequence[str],
    seeds: int,
    trials: int,
    folder: Path,
    processes: int,
) -> None:
    """Runs a search of every problem by every contestant with every seed, several at a time.

    Args:
        run: One search: of a problem, by a contestant, with a seed and a number of trials, into a folder.
        problems: To search.
        names: Of the contestants.
        seeds: How many, from 0.
        trials: Of each search.
        folder: Of the results.
        processes: How many at a time.
    """
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        jobs = {
            pool.submit(run, each, name, seed, trials, folder): f"{each} {name} seed {seed}"
            for each in problems
            for seed in range(seeds)
            for name in names
        }
        for job, title in jobs.items():
            job.result()
            print(title, flush=True)


def main(
    problem: Annotated[list[str], typer.Option(help="Aligned model and search space.")] = ["rsf:per-layer"],  # noqa: B006
    contestant: Annotated[list[str], typer.Option(help="Names; all by default.")] = [],  # noqa: B006
    seeds: int = 10,
    trials: int = 80,
    folder: Path = Path("runs/benchmark-search"),
    processes: int = 2,
    tables: Annotated[bool, typer.Option("--tables", help="Only print what is there.")] = False,
) -> None:
    """Runs what has not been run yet, then prints the tables and the numbers, and writes a plot by problem."""
    if not tables:
        run_all(run, problem, contestant or list(CONTESTANTS), seeds, trials, folder, processes)
    numbers = {}
    for each in problem:
        results = search_tables.Results(each, folder, seeds)
        numbers[each] = search_tables.tables(results)
        search_tables.plot(results, folder / f"{each.replace(':', '-')}.png")
    print(json.dumps(numbers))


if __name__ == "__main__":
    typer.run(main)
