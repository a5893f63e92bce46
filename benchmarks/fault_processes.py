"""Processes that are killed, and signals: engines and the driver."""

from __future__ import annotations

import random
import signal
import time
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.fault_moments import freeze_between_trials, freeze_during_generation, freeze_during_write
from benchmarks.fault_run import ORDERLESS, FaultRun

if TYPE_CHECKING:
    from pathlib import Path

    import psutil


def kill_engines(folder: Path, seed: int) -> dict[str, FaultRun]:
    """Kills a trial's actor between two trials, and an engine while it generates; each twice in its run."""
    between = FaultRun(folder / "between", ORDERLESS)
    between.start()
    for _ in range(2):
        between.wait_for_results(3)
        known = frozenset(between.engines())
        between.inject(freeze_between_trials(between).kill)
        began = time.monotonic()
        freeze_during_generation(between, partial(_others, between, known)).resume()
        between.recovered.append(time.monotonic() - began)
    between.finish()
    amid = FaultRun(folder / "amid")
    amid.start()
    for _ in range(2):
        amid.wait_for_results(3)
        printed = len(amid.log)
        amid.inject(freeze_during_generation(amid).kill)
        amid.time_retry(printed)
    amid.finish()
    return {"trial actor: kill -9 between trials": between, "engine: kill -9 while it generates": amid}


def _others(run: FaultRun, known: frozenset[psutil.Process]) -> list[psutil.Process]:
    return [engine for engine in run.engines() if engine not in known]


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
