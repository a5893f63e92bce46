"""Long searches: do memory and open files of the driver and of the trial actors grow with the trials?

    python -m benchmarks.soak --sleeping 1000 --miniature 300

The first search is `benchmarks.speed.scale`'s, with trials that only sleep: all that is around the engines is real. The
second is `ama-ray search` of the bundled pair, with short replies. Both use the sampler `random` and no early stopping.
What the processes hold is sampled from outside; see `benchmarks.soak.watch`. Trials before `--warm-up` do not count,
nor do those of the report, which are larger. A slope is flat if it is less than twice its standard error, or than
0.5 MB and 0.5 file descriptors in 100 trials. The slope of the second half says whether what grew has come to an end.
Prints a table and a JSON object.
"""

from __future__ import annotations

import json
import tempfile
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.soak.watch import Watch
from benchmarks.speed import scale_loop
from testing.search_process import ORDERLESS, FaultRun

ACTORS = 2


def main(
    sleeping: Annotated[int, typer.Option(help="Trials that sleep; 0: none.")] = 1000,
    miniature: Annotated[int, typer.Option(help="Trials of the bundled pair; 0: none.")] = 300,
    warm_up: Annotated[int, typer.Option(help="Trials that do not count.")] = 50,
    seconds: Annotated[float, typer.Option(help="That a trial sleeps.")] = 0.05,
) -> None:
    """Runs both searches and prints a row for what every process held."""
    rows, paces = [], {}
    with tempfile.TemporaryDirectory(prefix="ama_ray-soak-") as scratch:
        watches = {
            f"{sleeping} that sleep": partial(_sleep, Path(scratch) / "sleeping", sleeping, seconds),
            f"{miniature} of the miniature": partial(_search, Path(scratch) / "miniature", miniature),
        }
        for name, search in watches.items():
            if not name.startswith("0 "):
                watch = search()
                rows += [{"trials": name} | row for row in watch.rows(warm_up)]
                paces[name] = watch.pace(warm_up)
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console(width=140).print(table)
    print("trials a minute in the first and the last quarter:", paces)
    print(json.dumps({"rows": rows, "pace": paces}))


def _sleep(out: Path, trials: int, seconds: float) -> Watch:
    search = get_context("spawn").Process(target=scale_loop.measure, args=(ACTORS, "random", seconds, trials, out))
    search.start()
    assert search.pid
    watch = Watch(search.pid, out)
    watch.follow(search.is_alive)
    if search.exitcode:
        raise RuntimeError(f"the search ended with {search.exitcode}")
    return watch


def _search(folder: Path, trials: int) -> Watch:
    run = FaultRun(folder, {"trials": trials, **ORDERLESS})
    run.start()
    process = run.process
    assert process
    watch = Watch(process.pid, run.out)
    watch.follow(lambda: process.poll() is None)
    run.finish()
    return watch


if __name__ == "__main__":
    typer.run(main)
