"""Faults on real processes: what is lost, what is doubled, and how long it takes to go on.

    python -m benchmarks.faults            # all of them, most of an hour on two cores
    python -m benchmarks.faults driver signals

Every fault is injected into a search of the bundled pair, with short replies, that was started by `ama-ray search`,
with real engines. On a CPU an engine lives in the process of its trial's actor, so that killing the one is killing the
other; when it happens makes the difference. The columns are those of `fault_outcome.outcome`. Seconds to recover are
from a fault, or from the command that goes on after it, to the next finished trial; of an engine or an actor, to the
end of the trial that it was working on or was given next. Three searches without a fault come first: two with the
default sampler, whose difference is what the order of trials does to the hypervolume, and one with `random` and without
early stopping, which go by no order.
Prints a table and a JSON object.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.faults import processes, servers, surroundings
from testing import autoscaler, nodes
from testing.outcome import outcome
from testing.search_process import ORDERLESS, FaultRun

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS: dict[str, Callable[[Path, int], dict[str, FaultRun]]] = {
    "engines": processes.kill_engines,
    "driver": processes.kill_the_driver,
    "signals": processes.end_the_driver,
    "worker": nodes.lose_a_worker,
    "head": nodes.lose_the_head,
    "added": nodes.add_a_node,
    "autoscaler": autoscaler.lose_one,
    "scorers": surroundings.break_scorers,
    "store": surroundings.start_with_too_small_a_store,
    "disk": surroundings.fill_the_disk,
    "database": surroundings.restart_the_database,
    "server": servers.lose_a_server,
}


def main(
    which: Annotated[list[str] | None, typer.Argument(help=f"{', '.join(KINDS)}; default: all.")] = None,
    seed: Annotated[int, typer.Option(help="Of the moments at which the driver is killed.")] = 0,
    keep: Annotated[Path | None, typer.Option(help="Keep the runs in this folder.")] = None,
) -> None:
    """Runs the faults, prints the table."""
    rows: dict[str, dict[str, Any]] = {}
    errors = Console(stderr=True, width=160)
    with tempfile.TemporaryDirectory(prefix="ama_ray-faults-") as scratch:
        folder = keep or Path(scratch)
        undisturbed = {
            "none": FaultRun(folder / "none"),
            "none, once more": FaultRun(folder / "again"),
            "none, sampler random": FaultRun(folder / "random", ORDERLESS),
        }
        for run in undisturbed.values():
            run.start()
            run.finish()
        by_sampler = {"auto": undisturbed["none"], "random": undisturbed["none, sampler random"]}

        def note(runs: dict[str, FaultRun]) -> None:
            for name, run in runs.items():
                same = by_sampler[run.fields.get("sampler", "auto")]
                rows[name] = outcome(run, same) | {"note": run.note}
                errors.print(name, rows[name])

        note(undisturbed)
        for kind in which or KINDS:
            began = time.monotonic()
            try:
                note(KINDS[kind](folder / kind, seed))
            except Exception as error:  # the other faults are still worth knowing
                errors.print_exception()
                rows[f"{kind}: broken off"] = dict.fromkeys(rows["none"], "") | {"note": str(error)[:200]}
            errors.print(f"{kind}: {time.monotonic() - began:.0f} s")
    table = Table("fault", *rows["none"])
    for name, row in rows.items():
        table.add_row(name, *(str(value) for value in row.values()))
    Console(width=220).print(table)
    print(json.dumps(rows))
    if any(row["lost"] or row["doubled"] or name.endswith("broken off") for name, row in rows.items()):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
