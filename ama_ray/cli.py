"""The command line: parses, calls one public function, prints."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from ama_ray.errors import UserError

if TYPE_CHECKING:
    from ama_ray.pareto import ParetoSet

_commands = typer.Typer(
    name="ama-ray",
    help="Finds the layer ratios that average a model from before and after RLHF: most reward, least alignment tax.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
_RunFile = Annotated[Path, typer.Argument(help="The run file (YAML).", show_default=False)]
_RunFolder = Annotated[Path, typer.Argument(help="The folder of a finished run.", show_default=False)]
_Resume = Literal["auto", "never", "must"]
_console = Console()


@_commands.command()
def search(
    run: _RunFile,
    out: Annotated[Path | None, typer.Option(help="Folder for the results, instead of the run file's.")] = None,
    trials: Annotated[int | None, typer.Option(help="Number of trials, instead of the run file's.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed, instead of the run file's.")] = None,
    resume: Annotated[
        _Resume, typer.Option(help="Where the folder holds a run: auto goes on with it, never refuses, must insists.")
    ] = "auto",
) -> None:
    """Search for the best ratios. Example: ama-ray search run.yaml --trials 60."""
    began = time.perf_counter()
    from ama_ray.tuning.interrupts import Interrupted
    from ama_ray.tuning.search import search as run_search

    given = {"out": out, "trials": trials, "seed": seed}
    fields = {name: value for name, value in given.items() if value is not None}
    try:
        front = run_search(run, resume=resume, progress=_say, began=began, **fields)
    except Interrupted as interrupted:
        print(f"ended by {interrupted.signal.name}; the same command goes on from here", file=sys.stderr)
        raise typer.Exit(128 + interrupted.signal) from None
    _show(front)


@_commands.command()
def show(run: _RunFolder) -> None:
    """Show the front of a run. Example: ama-ray show runs/my-run."""
    from ama_ray.pareto import ParetoSet

    _show(ParetoSet.open(run))


@_commands.command()
def table(
    run: _RunFolder,
    max_tax: Annotated[
        float | None, typer.Option(help="Also the point with the most reward at this tax (0-1).")
    ] = None,
    min_reward: Annotated[
        list[str] | None,
        typer.Option(help="Also the point with the least tax at this reward; NAME=NUMBER where there are several."),
    ] = None,
    latex: Annotated[bool, typer.Option("--latex", help="Print LaTeX instead (booktabs).")] = False,
    csv: Annotated[Path | None, typer.Option(help="Also write every number to this file.")] = None,
) -> None:
    """Base, aligned, uniform averaging and the picks, with 95% intervals. Example: ama-ray table runs/my-run."""
    from ama_ray.report import paper_output
    from ama_ray.report.paper_table import PaperTable

    paper = PaperTable.open(run, max_tax=max_tax, min_reward=_least(min_reward or []))
    if csv:
        try:
            paper_output.write_csv(paper, csv)
        except OSError as error:
            raise UserError(f"--csv {csv}: cannot be written ({error.strerror}).") from None
    if latex:
        print(paper_output.to_latex(paper))
        return
    for note in paper.notes:
        _say(note)
    for part in paper_output.to_terminal(paper, min(max(_console.width, 80), 100)):
        _console.print()
        _console.print(part)
    _say(paper_output.LEGEND)


def _least(values: list[str]) -> float | dict[str, float] | None:
    """What `--min-reward` asks for: a number, or a number by name."""
    try:
        if len(values) == 1 and "=" not in values[0]:
            return float(values[0])
        return {name: float(value) for name, _, value in (each.partition("=") for each in values)} or None
    except ValueError:
        raise UserError(f"--min-reward {' '.join(values)}: give a number, or NAME=NUMBER for each reward.") from None


@_commands.command()
def export(
    run: _RunFolder,
    point: Annotated[str, typer.Option(help="Number of a trial, or `knee`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the checkpoint.")],
) -> None:
    """Write a point as a Hugging Face checkpoint. Example: ama-ray export runs/my-run --point knee -o merged."""
    from ama_ray.pareto import ParetoSet

    pareto = ParetoSet.open(run)
    if point != "knee" and not point.isdecimal():
        raise UserError(f"--point {point}: give the number of a trial, or knee.")
    folder = pareto.export(pareto.pick("knee") if point == "knee" else int(point), out)
    _say(f"{folder} holds the merged checkpoint.")


@_commands.command()
def check(
    run: _RunFile,
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
        _say(f"warning: {warning}")
    groups = ", ".join(inputs.groups.names)
    _say(f"{run}: the pair, {len(inputs.groups.names)} groups ({groups}), reward and probes are in order.")
    if deep:
        from ama_ray.tuning.deep import deep_check

        _say(f"deep check passed: {deep_check(inputs)}")


@_commands.command()
def distill(
    run: _RunFile,
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
        _say(f"warning: {warning}")
    points = run_distill(inputs, _say)
    _console.print(output.table(points))
    _say(output.LEGEND)
    if out:
        output.write(points, out)


def _show(pareto: ParetoSet) -> None:
    from ama_ray.report import front_table, sentence

    _console.print(front_table(pareto))
    _say(sentence(pareto))


def _say(line: str) -> None:
    _console.print(line, highlight=False, markup=False, soft_wrap=True)


def app() -> None:
    """The entry point: a `UserError` is one sentence on standard error and exit code 2."""
    try:
        _commands()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    app()
