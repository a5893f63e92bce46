"""Commands that search, or look at a run file: search, resume, extend, check, distill."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ama_ray.cli.console import (
    JsonResult,
    Resuming,
    RunFile,
    RunFolders,
    Trials,
    complain,
    console,
    one_run,
    print_json,
    say,
)
from ama_ray.cli.output import listener, show_end
from ama_ray.errors import UserError
from ama_ray.storage.names import RUN

if TYPE_CHECKING:
    from ama_ray.run import StoredRun
    from ama_ray.storage.run_folder import Resume

Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but the front at the end.")]
Json = Annotated[bool, typer.Option("--json", help="Print a line of JSON for every event, and the front last.")]


def search(  # noqa: PLR0917
    run: RunFile,
    out: Annotated[Path | None, typer.Option(help="Folder for the results, instead of the run file's.")] = None,
    trials: Trials = None,
    seed: Annotated[int | None, typer.Option(help="Seed, instead of the run file's.")] = None,
    resume: Resuming = "auto",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Search for the best ratios. Example: ama-ray search run.yaml --trials 60."""
    given = {"out": out, "trials": trials, "seed": seed}
    fields = {name: value for name, value in given.items() if value is not None}
    _search(run, fields, resume, quiet=quiet, as_json=as_json)


def demo(quiet: Quiet = False, as_json: Json = False) -> None:
    """Search the bundled pair of tiny models, into a new folder in `runs`. Example: ama-ray demo."""
    from ama_ray.miniature import ROOT

    out = Path("runs", f"miniature-{datetime.now():%Y%m%d-%H%M%S}")
    _search(ROOT / RUN, {"out": out}, "auto", quiet=quiet, as_json=as_json)


def resume(run: RunFolders = None, quiet: Quiet = False, as_json: Json = False) -> None:
    """Go on with a run in its folder, from its own run.yaml. Example: ama-ray resume runs/my-run."""
    folder = one_run(run)
    _search(_own_run_file(folder), {"out": folder}, "must", quiet=quiet, as_json=as_json)


def extend(
    run: RunFolders = None,
    *,
    trials: Annotated[
        str, typer.Option(metavar="[+]NUMBER", help="So many more with a plus before, else so many in all.")
    ],
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Go on with a run beyond its last trial. Example: ama-ray extend runs/my-run --trials +40."""
    from ama_ray.config import RunConfig

    folder = one_run(run)
    file = _own_run_file(folder)
    if not trials.removeprefix("+").isdecimal():
        raise UserError(f"--trials {trials}: give a number, with a plus before it for so many more.")
    before = RunConfig.load(file).trials
    wanted = int(trials) + (before if trials.startswith("+") else 0)
    if wanted <= before:
        raise UserError(
            f"--trials {trials}: {folder} has {before} trials in all already; give more, or --trials +NUMBER."
        )
    again = f"ama-ray resume {folder}"  # the same command would add trials once more
    _search(file, {"out": folder, "trials": wanted}, "must", again, quiet=quiet, as_json=as_json)


def _search(
    run: Path, fields: dict[str, Any], resume: Resume, again: str = "the same command", *, quiet: bool, as_json: bool
) -> None:
    began = time.perf_counter()
    with listener(quiet=quiet, as_json=as_json) as listen:
        from ama_ray.tuning.search import search as run_search
        from ama_ray.tuning.signals import Interrupted

        found: StoredRun | None
        try:
            found, ended_by = run_search(run, resume=resume, listen=listen, began=began, **fields), None
        except Interrupted as interrupted:
            found, ended_by = interrupted.run, interrupted.signal
    if found is not None:
        show_end(found, quiet=quiet or ended_by is not None, as_json=as_json)
    if ended_by is not None:
        print(f"ended by {ended_by.name}; {again} goes on from here", file=sys.stderr)
        raise typer.Exit(128 + ended_by)


def _own_run_file(run: Path) -> Path:
    if not (run / RUN).is_file():
        raise UserError(f"{run}: not the folder of a run, as it has no {RUN}; name the folder a run wrote to.")
    return run / RUN


def check(
    run: RunFile,
    deep: Annotated[bool, typer.Option("--deep", help="Also check what a swap leaves in an engine.")] = False,
    cluster: Annotated[
        Path | None,
        typer.Option(help="Also say whether the pair fits on the nodes of this file, and what a run costs."),
    ] = None,
    as_json: JsonResult = False,
) -> None:
    """Check a run file, its pair and its data without searching. Example: ama-ray check run.yaml --deep."""
    from ama_ray.config import RunConfig
    from ama_ray.evaluation import work
    from ama_ray.evaluation.inputs import Inputs
    from ama_ray.report.json_fields import expected_fields
    from ama_ray.report.text.trade_tables import before
    from ama_ray.tuning import callbacks, samplers
    from ama_ray.tuning.budget import Spending
    from ama_ray.tuning.cluster.node_types import fits
    from ama_ray.tuning.cost import estimate
    from ama_ray.tuning.warm_start import check_first_points

    config = RunConfig.load(run)
    inputs = Inputs.open(config)
    samplers.check(config.sampler, len(config.objectives))
    callbacks.make(config)
    Spending.of(config, inputs.evaluations)  # which refuses a budget that is too small
    check_first_points(inputs, inputs.shape)
    searched = inputs.evaluations["trade"]
    said = [*(reward.findings() for reward in searched.rewards), *(probe.findings() for probe in searched.probes)]
    said += [command.findings() for command in searched.commands.each]
    findings = list(filter(None, said))
    takes = [*estimate(inputs), *(fits(inputs, cluster) if cluster else ())]
    if as_json:
        print_json(
            {
                "run": str(run),
                "warnings": list(inputs.warnings),
                "groups": list(inputs.groups.names),
                "estimate": takes,
                "findings": findings,
                "items": expected_fields(inputs.objectives, work.sizes(searched)),
            }
        )
    else:
        for warning in inputs.warnings:
            say(f"warning: {warning}")
        groups = ", ".join(inputs.groups.names)
        say(f"{run}: the pair, {len(inputs.groups.names)} groups ({groups}), reward and probes are in order.")
        for line in (*takes, *findings):
            say(line)
        for part in before(inputs.objectives, work.sizes(searched), work.tokens_of_items(searched)):
            console.print(part)
    if deep:
        from ama_ray.tuning.setup import run_deep_check

        run_deep_check(inputs, complain if as_json else say)


def distill(
    run: RunFile,
    out: Annotated[Path | None, typer.Option(help="Also write the points to this file (JSON).")] = None,
    as_json: JsonResult = False,
) -> None:
    """The paper's own optimiser: ratios that make good replies likely. Example: ama-ray distill run.yaml."""
    from ama_ray.config import RunConfig
    from ama_ray.distill import distill as run_distill
    from ama_ray.distill import table
    from ama_ray.evaluation.inputs import Inputs

    if out and (out.is_dir() or not out.resolve().parent.is_dir()):
        raise UserError(f"--out {out}: give a file in a folder that is there.")
    inputs = Inputs.open(RunConfig.load(run))
    tell = complain if as_json else say
    for warning in inputs.warnings:
        tell(f"warning: {warning}")
    points = run_distill(inputs, tell)
    if as_json:
        print_json({"points": table.fields(points)})
    else:
        console.print(table.table(points))
        say(table.LEGEND)
    if out:
        table.write(points, out)
