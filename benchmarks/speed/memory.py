"""How much memory does a pair take? While it is opened, and then with one, two and three engines on one node.

    python -m benchmarks.speed.memory --model 1.1b --engines 3

Random bfloat16 weights (`benchmarks.speed.swap.SHAPES`). The opening is a run's own (`prepare`), watched ten times a
second over all of its processes, Ray's included; then engines map the endpoints and swap, one after another. Counted
are anonymous and shared memory, a page that several processes map once (proportional set size), without the file cache.
Prints a table and a JSON object. `of_need`: the peak against what must be there, both endpoints beside the processes
with one engine that has started.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import psutil
import ray
import typer
from rich.console import Console
from rich.table import Table

from ama_ray.config import RunConfig
from ama_ray.engine.arguments import pair_arguments
from ama_ray.evaluation.evaluation import WHOLE
from ama_ray.evaluation.inputs import Inputs
from ama_ray.miniature import ROOT
from ama_ray.tuning.cluster.engine_actor import EngineActor
from ama_ray.tuning.cluster.engine_source import InProcess, StoredEndpoints
from ama_ray.tuning.cluster.memory import own_store
from ama_ray.tuning.cluster.ray_cluster import ray_cluster
from ama_ray.tuning.setup import prepare
from benchmarks.speed.swap import SHAPES, make_set

if TYPE_CHECKING:
    from types import TracebackType


SETTLED = 3
"""Seconds after which processes that were to end have ended."""
ITEMS = 4
"""Prompts and items per probe: the base is asked them once both endpoints are there."""


class Watch:
    """Takes the memory of this process and its descendants ten times a second.

    Attributes:
        peak: Most bytes seen.
    """

    def __init__(self) -> None:
        self.peak = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.1):
            self.peak = max(self.peak, memory())


def memory() -> int:
    """Bytes that this process and its descendants take together, the file cache left out."""
    total = 0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        try:
            text = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="utf-8")
        except OSError:  # it has ended
            continue
        fields = dict(line.split(":") for line in text.splitlines()[1:])
        total += 1024 * sum(int(fields[kind].split()[0]) for kind in ("Pss_Anon", "Pss_Shmem"))
    return total


def main(
    model: Annotated[str, typer.Option(help=", ".join(SHAPES))] = "150m",
    engines: Annotated[int, typer.Option(min=1, help="most engines on the node")] = 3,
) -> None:
    """Opens the pair, starts engines, and prints a row for each step."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_set(folder, SHAPES[model], 1)
        config = _config(folder)
        with Watch() as opening:
            inputs = Inputs.open(config)
        with ray_cluster(partial(own_store, inputs)):
            rows = _measure(inputs, engines)
    need = inputs.pair.num_bytes + rows[0]["bytes"]
    for row in rows:
        row["of_need"] = row["bytes"] / need
    rows.insert(0, {"step": "reading and checking", "bytes": opening.peak, "of_need": opening.peak / need})
    table = Table(title=f"memory, {model}, endpoints {inputs.pair.num_bytes / 1e9:.2f} GB")
    for column in ("step", "GB", "of need"):
        table.add_column(column, justify="left" if column == "step" else "right")
    for row in rows:
        table.add_row(row["step"], f"{row['bytes'] / 1e9:.2f}", f"{row['of_need']:.2f}")
    Console().print(table)
    print(json.dumps({"model": model, "endpoints_bytes": inputs.pair.num_bytes, "steps": rows}))


def _measure(inputs: Inputs, engines: int) -> list[dict[str, Any]]:
    start = ray.remote(num_cpus=0)(EngineActor).remote
    pair = inputs.pair
    arguments = (pair.engine_folder, inputs.config.engine, inputs.context_length, pair_arguments(pair))
    alone = start(*arguments)
    ray.get(alone.start.remote())
    rows = [{"step": "one engine, started", "bytes": memory()}]
    ray.kill(alone)
    time.sleep(SETTLED)
    # The verdict of the first deep check is kept; the second opening is one without.
    for step in ("opening with the deep check, peak", "opening, peak"):
        endpoints = None  # those of before are no longer needed
        with Watch() as watch:
            endpoints = _open(inputs)
        time.sleep(SETTLED)
        rows.append({"step": step, "bytes": watch.peak})
    actors: list[Any] = []
    for count in range(1, engines + 1):
        actors.append(start(*arguments))
        ray.get(actors[-1].attach.remote(endpoints))
        ray.get([actor.swap.remote(dict.fromkeys(inputs.groups.names, 0.5)) for actor in actors])
        rows.append({"step": f"{count} engine{'s' if count > 1 else ''}, swapped", "bytes": memory()})
    return rows


def _open(inputs: Inputs) -> StoredEndpoints:
    prepared, check = prepare(inputs, print)
    for name in WHOLE:
        prepared.get_base_answers(name)
    with closing(check):
        check.wait()
    assert isinstance(prepared.source, InProcess)
    assert isinstance(prepared.source.endpoints, StoredEndpoints)
    return prepared.source.endpoints


def _config(folder: Path) -> RunConfig:
    config = RunConfig.load(
        ROOT / "run.yaml",
        base=folder / "base",
        aligned=folder / "aligned-0",
        out=folder / "out",
        early_stopping=False,
        engine={"cpus": 2, "kv_cache_gib": 0.25},
    )
    fields = config.model_dump(mode="json", exclude_none=True)
    for source in (*(reward["prompts"] for reward in fields["reward"]), *fields["tax"]):
        source["items"] = ITEMS
    return RunConfig.parse(fields, "benchmark")


if __name__ == "__main__":
    typer.run(main)
