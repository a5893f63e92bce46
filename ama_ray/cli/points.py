"""Commands that take one point of a run: pick, export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ama_ray.cli.console import RunFolder, console, least_rewards, numbers, say

MaxTax = Annotated[float | None, typer.Option(help="The most reward with at most this tax (0-1).")]
MinReward = Annotated[
    list[str] | None,
    typer.Option(help="The least tax with at least this reward; NAME=NUMBER where there are several."),
]


def pick(
    run: RunFolder,
    max_tax: MaxTax = None,
    min_reward: MinReward = None,
    near: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=NUMBER,...",
            help="The point nearest to these values; base and aligned are 1 apart in each objective.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead.")] = False,
) -> None:
    """Pick a point of the front, the knee by default. Example: ama-ray pick runs/my-run --max-tax 0.05."""
    from ama_ray.pareto import ParetoSet
    from ama_ray.report.point import point_table, trial_fields

    wish = numbers("--near", near.split(",")) if near else None
    pareto = ParetoSet.open(run)
    trial = pareto.pick(max_tax=max_tax, min_reward=least_rewards(min_reward or []), near=wish)
    if as_json:
        print(json.dumps(trial_fields(trial)))
    else:
        console.print(point_table(pareto, trial))
        say(f"ama-ray export {run} --point {trial.number} -o FOLDER writes it as a checkpoint.")


def export(
    run: RunFolder,
    point: Annotated[
        str, typer.Option(help="Number of a trial, knee, base, aligned, or a uniform point, as in uniform-0.5.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the checkpoint.")],
) -> None:
    """Write a point as a Hugging Face checkpoint. Example: ama-ray export runs/my-run --point knee -o merged."""
    from ama_ray.pareto import ParetoSet

    folder = ParetoSet.open(run).export(point, out)
    say(f"{folder} holds the merged checkpoint.")
