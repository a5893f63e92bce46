"""Processes that are killed, and signals: engines and the driver."""

from __future__ import annotations

import random
import signal
import time
from functools import partial
from typing import TYPE_CHECKING

from testing.freezing import freeze_between_trials, freeze_during_generation, freeze_during_write
from testing.search_process import ORDERLESS, FaultRun

if TYPE_CHECKING:
    from pathlib import Path


def kill_engines(folder: Path, seed: int) -> dict[str, FaultRun]:
    """Kills a trial's actor between two trials, and an engine while it generates; each twice in its run."""
    runs = {
        "trial actor: kill -9 between trials": FaultRun(folder / "between", ORDERLESS),
        "engine: kill -9 while it generates": FaultRun(folder / "amid"),
    }
    for run, freeze in zip(runs.values(), (freeze_between_trials, freeze_during_generation), strict=True):
        run.start()
        for _ in range(2):
            run.wait_for_results(3)
            printed = len(run.log)
            run.inject(freeze(run).kill)
            run.time_retry(printed)
        run.finish()
    return runs


def kill_the_driver(folder: Path, seed: int) -> dict[str, FaultRun]:
    """Kills the driver ten times in one run: before its first trial, while it writes, and at random."""
    run, moments = FaultRun(folder / "run"), random.Random(seed)
    for number in range(10):
        run.start()
        if not number:
            run.wait_for(lambda: "starting engines" in run.log)
            time.sleep(10 * moments.random())
            run.inject(run.kill)
            continue
        run.time_recovery()
        if number % 3 == 0:
            run.inject(partial(_kill_during_write, run))
        else:
            run.wait_for_results(moments.choice([0, 1, 2]))
            time.sleep(2 * moments.random())
            run.inject(run.kill)
    run.start()
    run.time_recovery()
    run.finish()
    run.note = "once before the first trial, three times with a file half written"
    return {"driver: kill -9": run}


def _kill_during_write(run: FaultRun) -> None:
    freeze_during_write(run)
    run.kill()


def end_the_driver(folder: Path, seed: int) -> dict[str, FaultRun]:
    """Ends the driver by SIGINT and SIGTERM, and goes on."""
    runs = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        run = FaultRun(folder / number.name)
        run.start()
        run.wait_for_results(5)
        began = time.monotonic()
        run.inject(partial(_end, run, number))
        run.note = f"exit code {128 + number} after {time.monotonic() - began:.1f} s"
        run.start()
        run.time_recovery()
        run.finish()
        runs[f"driver: {number.name}"] = run
    return runs


def _end(run: FaultRun, number: int) -> None:
    run.expect(run.kill(number), 128 + number)
