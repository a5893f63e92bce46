"""What a search depends on and did not start: scorers, the disk, a database, the object store of a cluster."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from testing.nodes import cluster, engines_on, joined
from testing.outcome import count_doubled
from testing.postgres import Postgres
from testing.search_process import ORDERLESS, FaultRun, reward

if TYPE_CHECKING:
    from pathlib import Path

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
TOO_SMALL = 80 * 2**20
"""Bytes of an object store: about the least that Ray takes, and less than the pair and what goes with it."""


def break_scorers(folder: Path, seed: int) -> dict[str, FaultRun]:
    """Scorers that go wrong now and then."""
    runs = {}
    for i, (name, fault) in enumerate(FAULTS_OF_SCORERS.items()):
        (folder / str(i)).mkdir(parents=True)
        scorer = folder / str(i) / "scorer.py"
        scorer.write_text(SCORER.format(fault=fault), encoding="utf-8")
        fields = {"reward": reward(f"{scorer}:score"), "engine": {"dtype": "float32", "timeout": 60.0}, **ORDERLESS}
        runs[name] = FaultRun(folder / str(i) / "run", fields)
        runs[name].start()
        runs[name].finish()
    return runs


def fill_the_disk(folder: Path, seed: int) -> dict[str, FaultRun]:
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
        run.finish()
        count_doubled(run)
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


def restart_the_database(folder: Path, seed: int) -> dict[str, FaultRun]:
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
        run.finish()
        count_doubled(run)
    return {"PostgreSQL: stopped and started": run}


def start_with_too_small_a_store(folder: Path, seed: int) -> dict[str, FaultRun]:
    """A cluster whose object store cannot hold the pair; then the same command on another one.

    Raises:
        RuntimeError: The first was not refused with one sentence before anything started.
    """
    with cluster(1, store=TOO_SMALL) as nodes:
        run = joined(folder / "run", nodes)
        run.start()
        assert run.process
        engines: set[int] = set()
        while run.process.poll() is None:
            engines |= {each.pid for node in nodes.worker_nodes for each in engines_on(node)}
        run.inject(lambda: run.finish(2))
        refusals = re.findall(r"^error: .*object store.*--object-store-memory=\d+\.$", run.log, re.MULTILINE)
        if len(refusals) != 1 or engines or run.trials or "Traceback" in run.log:
            raise RuntimeError(f"engines {engines}, {len(run.trials)} trials; the log:\n{run.log}")
    with cluster(2) as nodes:
        run.environment["RAY_ADDRESS"] = nodes.address
        run.start()
        run.time_recovery()
        run.finish()
    run.note = "refused with one sentence, exit code 2, no engine started; recovery is by the same command elsewhere"
    return {"object store too small": run}
