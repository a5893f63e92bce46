"""Commands that take a run file: search, check, distill."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from ama_ray.cli.console import Resuming, RunFile, Trials, console, say, show_front
from ama_ray.errors import UserError


def search(
    run: RunFile,
    out: Annotated[Path | None, typer.Option(help="Folder for the results, instead of the run file's.")] = None,
    trials: Trials = None,
    seed: Annotated[int | None, typer.Option(help="Seed, instead of the run file's.")] = None,
    resume: Resuming = "auto",
) -> None:
    """Search for the best ratios. Example: ama-ray search run.yaml --trials 60."""
    began = time.perf_counter()
    from ama_ray.tuning.interrupts import Interrupted
    from ama_ray.tuning.search import search as run_search

    given = {"out": out, "trials": trials, "seed": seed}
    fields = {name: value for name, value in given.items() if value is not None}
    try:
        front = run_search(run, resume=resume, progress=say, began=began, **fields)
    except Interrupted as interrupted:
        print(f"ended by {interrupted.signal.name}; the same command goes on from here", file=sys.stderr)
        raise typer.Exit(128 + interrupted.signal) from None
    show_front(front)


def check(
    run: RunFile,
    deep: Annotated[bool, typer.Option("--deep", help="Also compare a swapped engine with a fresh one.")] = False,
) -> None:
    """Check a run file, its pair and its data without searching. Example: ama-ray check run.yaml --deep."""
    from ama_ray.config import RunConfig
    from ama_ray.inputs import Inputs
    from ama_ray.parametrisation import parametrisation
    from ama_ray.tuning import samplers
    from ama_ray.tuning.warm_start import check_first_points

    config = RunConfig.load(run)
    inputs = Inputs.open(config)
    samplers.check(config.sampler, len(config.reward_objectives) + 1)
    check_first_points(inputs, parametrisation(inputs.groups.ranges, config.mean_ratio))
    for warning in inputs.pair.warnings:
        say(f"warning: {warning}")
    groups = ", ".join(inputs.groups.names)
    say(f"{run}: the pair, {len(inputs.groups.names)} groups ({groups}), reward and probes are in order.")
    if deep:
        from ama_ray.tuning.deep import deep_check

        say(f"deep check passed: {deep_check(inputs)}")


def distill(
    run: RunFile,
    out: Annotated[Path | None, typer.Option(help="Also write the points to this file (JSON).")] = None,
) -> None:
    """The paper's own optimiser: ratios that make good replies likely. Example: ama-ray distill run.yaml."""
    from ama_ray.config import RunConfig
    from ama_ray.distill import distill as run_distill
    from ama_ray.distill import output
    from ama_ray.inputs import Inputs

    if out and (out.is_dir() or not out.resolve().parent.is_dir()):
        raise UserError(f"--out {out}: give a file in a folder that is there.")
    inputs = Inputs.open(RunConfig.load(run))
    for warning in inputs.pair.warnings:
        say(f"warning: {warning}")
    points = run_distill(inputs, say)
    console.print(output.table(points))
    say(output.LEGEND)
    if out:
        output.write(points, out)
