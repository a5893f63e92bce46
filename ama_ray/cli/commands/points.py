"""Commands that take one point of a run: pick, export, verify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ama_ray.cli.console import (
    JsonResult,
    RunFolders,
    complain,
    console,
    least_rewards,
    numbers,
    one_run,
    print_json,
    say,
)
from ama_ray.errors import UserError

MaxTax = Annotated[float | None, typer.Option(help="The most reward with at most this tax (0-1).")]
MinReward = Annotated[
    list[str] | None,
    typer.Option(help="The least tax with at least this reward; NAME=NUMBER where there are several."),
]


def pick(  # noqa: PLR0917
    run: RunFolders = None,
    max_tax: MaxTax = None,
    min_reward: MinReward = None,
    near: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=NUMBER,...",
            help="The point nearest to these values; base and aligned are 1 apart in each objective.",
        ),
    ] = None,
    max_tokens: Annotated[
        float | None, typer.Option(help="Only points with at most so many tokens per reply, on average.")
    ] = None,
    as_json: JsonResult = False,
) -> None:
    """Pick a point of the front, the knee by default. Example: ama-ray pick runs/my-run --max-tax 0.05."""
    from ama_ray.report.json_fields import trial_fields
    from ama_ray.report.text.point import point_table
    from ama_ray.run import StoredRun

    wish = numbers("--near", near.split(",")) if near else None
    folder = one_run(run)
    pareto = StoredRun.open(folder).pareto
    least = least_rewards(min_reward or [])
    trial = pareto.pick(max_tax=max_tax, min_reward=least, near=wish, max_tokens=max_tokens)
    if as_json:
        print_json(trial_fields(trial))
    else:
        console.print(point_table(pareto, trial))
        say(f"ama-ray export {folder} --point {trial.number} -o FOLDER writes it as a checkpoint.")


def export(  # noqa: PLR0917
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the checkpoint.")],
    run: RunFolders = None,
    point: Annotated[
        str | None,
        typer.Option(help="Number of a trial, knee, base, aligned, or a uniform point, as in uniform-0.5."),
    ] = None,
    merge_file: Annotated[
        Path | None,
        typer.Option("--from", metavar="MERGE.JSON", help="Make the merge of an earlier export again, bit for bit."),
    ] = None,
    base: Annotated[str | None, typer.Option(help="With --from: base, where it is not where it was.")] = None,
    aligned: Annotated[
        list[str] | None, typer.Option(help="With --from: aligned, likewise; of several, each in its order.")
    ] = None,
    repo_id: Annotated[
        str | None, typer.Option("--push", metavar="NAME", help="Upload it to the Hugging Face hub, too.")
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="With --push: not for everyone.")] = False,
    as_json: JsonResult = False,
) -> None:
    """Write a point as a Hugging Face checkpoint. Example: ama-ray export runs/my-run --point knee -o merged."""
    if (point is None) == (merge_file is None):
        raise UserError("export: give either --point, of a run, or with --from a merge.json.")
    if run and merge_file:
        raise UserError("export: the folder of a run goes with --point; --from has its point already.")
    if point and (base or aligned):
        raise UserError("export: --base and --aligned go with --from; a run knows its pair.")
    if private and not repo_id:
        raise UserError("export: --private goes with --push.")
    from ama_ray import export as exporting
    from ama_ray.run import StoredRun

    if repo_id:
        exporting.check_repo_id(repo_id)
    if merge_file:
        folder = exporting.reproduce(merge_file, out, base, aligned or ())
        said = f"{folder} holds the merged checkpoint, bit for bit that of {merge_file}."
    else:
        assert point is not None
        folder = exporting.export_point(StoredRun.open(one_run(run)), point, out)
        said = f"{folder} holds the merged checkpoint, with its model card and merge.json."
    if not as_json:
        say(said)
    address = exporting.push(folder, repo_id, private=private) if repo_id else None
    if as_json:
        print_json({"folder": str(folder), "hub": address})
    elif address:
        say(f"{address} has it.")


def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An export.", show_default=False)],
    base: Annotated[str | None, typer.Option(help="Base, where it is not where it was.")] = None,
    aligned: Annotated[list[str] | None, typer.Option(help="Aligned, likewise; of several, each in its order.")] = None,
    as_json: JsonResult = False,
) -> None:
    """Check an export against its merge.json and its parents. Example: ama-ray verify merged."""
    from ama_ray import export as exporting

    found = exporting.verify(folder, complain if as_json else say, base, aligned or ())
    if as_json:
        print_json({"folder": str(folder)} | vars(found))
