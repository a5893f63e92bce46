"""Faults on real processes: what is lost, what is doubled, and how long it takes to go on.

    python -m benchmarks.faults            # all of them, half an hour on two cores
    python -m benchmarks.faults driver signals

Every fault is injected into a search of the bundled pair that was started by `ama-ray search`, with real engines. On a
CPU an engine lives in the process of its trial's actor, so that killing the one is killing the other. A trial is lost
if it was in `trials.csv` before a fault and is not, or with other scores, in the end; doubled, if the study has it
twice or still under way. `undisturbed` is the hypervolume of a search with the same seed and no fault.
Prints a table and a JSON object.
"""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ama_ray.miniature import ROOT
from benchmarks import fault_nodes
from benchmarks.fault_run import FaultRun
from benchmarks.postgres import Postgres

if TYPE_CHECKING:
    from collections.abc import Callable

SCORER = """\
import itertools, time
from pathlib import Path
from ama_ray.miniature.reward import score as sound
calls = itertools.count(1)
def score(rows, replies):
    scores = sound(rows, replies)
    if len(rows) > 10:  # not the trial of the scorer before the search
        {fault}
    return scores
"""
FAULTS_OF_SCORERS = {
    "scorer: NaN every third time": "if next(calls) % 3 == 0: return [float('nan')] * len(scores)",
    "scorer: raises every third time": "if next(calls) % 3 == 0: raise ValueError('out of order')",
    "scorer: hangs once": "marker = Path(__file__).with_suffix('.hung')\n        "
    "if not marker.exists() and next(calls) == 3: marker.touch(); time.sleep(10_000)",
}


def main(
    which: Annotated[
        list[str] | None, typer.Argument(help="actor, driver, signals, scorers, disk, database, nodes.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the moments at which the driver is killed.")] = 0,
    keep: Annotated[Path | None, typer.Option(help="Keep the runs in this folder.")] = None,
) -> None:
    """Runs the faults, prints the table."""
    kinds: dict[str, Callable[[Path, int], dict[str, FaultRun]]] = {
        "actor": _actor,
        "driver": _driver,
        "signals": _signals,
        "scorers": _scorers,
        "disk": _disk,
        "database": _database,
        "nodes": _nodes,
    }
    rows: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="ama_ray-faults-") as scratch:
        folder = keep or Path(scratch)
        undisturbed = FaultRun(folder / "undisturbed")
        undisturbed.start()
        _expect(undisturbed.finish(), 0, undisturbed)
        rows["none"] = undisturbed.to_row(None)
        for kind in which or kinds:
            for name, run in kinds[kind](folder / kind, seed).items():
                rows[name] = run.to_row(undisturbed)
                Console(stderr=True).print(name, rows[name])
    table = Table("fault", *rows["none"])
    for name, row in rows.items():
        table.add_row(name, *(str(value) for value in row.values()))
    Console(width=160).print(table)
    print(json.dumps(rows))


def _actor(folder: Path, seed: int) -> dict[str, FaultRun]:
    """Kills an actor, and so its engine, between and amid trials: twice while it generates."""
    run = FaultRun(folder / "run")
    run.start()
    for _ in range(2):
        run.wait_for_results(4)
        printed = len(run.log)
        run.inject(run.engines()[0].kill)
        run.time_retry(printed)
    _expect(run.finish(), 0, run)
    return {"trial actor and engine: kill -9": run}


def _driver(folder: Path, seed: int) -> dict[str, FaultRun]:
    """Kills the driver at ten moments of one run, from its first seconds on."""
    run, moments = FaultRun(folder / "run"), random.Random(seed)
    for number in range(10):
        run.start()
        if number:
            run.time_recovery()
        # At once after a result is while the next ones are written.
        run.wait_for_results(moments.choice([1, 2, 3]))
        run.inject(run.kill)
    run.start()
    run.time_recovery()
    _expect(run.finish(), 0, run)
    return {"driver: kill -9": run}


def _signals(folder: Path, seed: int) -> dict[str, FaultRun]:
    """Ends the driver by SIGINT and SIGTERM, and goes on."""
    runs = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        run = FaultRun(folder / number.name)
        run.start()
        run.wait_for_results(5)
        run.inject(partial(_end, run, number))
        run.start()
        run.time_recovery()
        _expect(run.finish(), 0, run)
        runs[f"driver: {number.name}"] = run
    return runs


def _end(run: FaultRun, number: int) -> None:
    _expect(run.kill(number), 128 + number, run)


def _scorers(folder: Path, seed: int) -> dict[str, FaultRun]:
    """Scorers that go wrong now and then."""
    runs = {}
    for i, (name, fault) in enumerate(FAULTS_OF_SCORERS.items()):
        (folder / str(i)).mkdir(parents=True)
        scorer = folder / str(i) / "scorer.py"
        scorer.write_text(SCORER.format(fault=fault), encoding="utf-8")
        reward = {
            "kind": "function",
            "prompts": {
                "file": str(ROOT / "data/search/prompts.jsonl"),
                "report_file": str(ROOT / "data/report/prompts.jsonl"),
            },
            "scorer": f"{scorer}:score",
            "sampling": {"max_tokens": 28, "temperature": 1.0, "n": 2},
        }
        fields = {"reward": reward, "engine": {"dtype": "float32", "timeout": 60.0}, "early_stopping": False}
        runs[name] = FaultRun(folder / str(i) / "run", fields)
        runs[name].start()
        _expect(runs[name].finish(), 0, runs[name])
    return runs


def _disk(folder: Path, seed: int) -> dict[str, FaultRun]:
    """Fills a small file system that the run writes to, and empties it again."""
    folder.mkdir(parents=True)
    small = folder / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(small)], check=True)
    try:
        run = FaultRun(folder / "run", {"out": str(small / "run")})
        run.start()
        run.wait_for_results(5)
        run.inject(lambda: _fill(small / "filler"))
        run.wait_for(lambda: "trying again" in run.log)
        (small / "filler").unlink()
        run.time_recovery()
        _expect(run.finish(), 0, run)
        run.count_doubled()
        shutil.copytree(run.out, folder / "kept")
    finally:
        subprocess.run(["umount", str(small)], check=True)
    run.out = folder / "kept"
    return {"disk full": run}


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"0" * 1024)
        except OSError:
            return


def _database(folder: Path, seed: int) -> dict[str, FaultRun]:
    """Restarts the PostgreSQL server that has the study."""
    folder.mkdir(parents=True)
    with Postgres(folder / "server") as server:
        run = FaultRun(folder / "run", {"storage": server.url})
        run.start()
        run.wait_for_results(5)
        run.inject(server.stop)
        run.wait_for(lambda: "trying again" in run.log)
        server.start()
        run.time_recovery()
        _expect(run.finish(), 0, run)
        run.count_doubled()
    return {"PostgreSQL: stopped and started": run}


def _nodes(folder: Path, seed: int) -> dict[str, FaultRun]:
    """Nodes of a local cluster that are lost, that are the head, and that come."""
    fault_nodes.quiet()
    more, figures = fault_nodes.add_a_node(folder / "more")
    Console(stderr=True).print(figures)
    return {
        "worker node: kill -9": fault_nodes.lose_a_worker(folder / "worker"),
        "head: kill -9, and a new cluster": fault_nodes.lose_the_head(folder / "head"),
        "none: a node is added": more,
    }


def _expect(code: int, expected: int, run: FaultRun) -> None:
    if code != expected:
        raise RuntimeError(f"exit code {code} instead of {expected}; the end of the log:\n{run.log[-2000:]}")


if __name__ == "__main__":
    typer.run(main)
