"""What does it cost that one server answers at several points, and are the answers those of the points?

    python -m benchmarks.speed.serve

Starts `ama-ray serve` on a run folder of the miniature, made up but for its pair, and sends it completions at
temperature 0: mixed, and sorted, which is one point after the other with a single switch between. Then a fresh vLLM
engine for every point, started on its export, answers the same. Prints a table and a JSON object: switches and what one
takes, requests per second, and how many answers are, letter by letter, those of the engine that holds only that point.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ama_ray.api import Run
from benchmarks.speed.swap import in_process
from testing import servers
from testing.made_up_run import POINTS, Answered, Asked, ask, by_a_fresh_engine, make_run, requests

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testing.servers import Server


def main(
    count: Annotated[int, typer.Option("--requests", min=len(POINTS), help="in all")] = 200,
    concurrent: Annotated[list[int], typer.Option(min=1, help="requests that wait at a time")] = [200, 16, 1],  # noqa: B006
) -> None:
    """Asks a server, mixed and sorted, and compares."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
    asked = requests(POINTS, count)
    with tempfile.TemporaryDirectory() as folder:
        run = make_run(Path(folder, "run"))
        server = servers.launch(["serve", str(run), "--port", "0"], Path(folder, "log"))
        try:
            by_point = [[each for each in asked if each.name == name] for name in POINTS]
            _timed(server, [asked], count)  # the first requests compile
            rows, answers = [], []
            for most in concurrent:
                for order, each in (("sorted", by_point), ("mixed", [asked])):
                    row, answered = _timed(server, each, most)
                    rows.append({"order": order, "concurrent": most} | row)
                    answers.append(answered)
        finally:
            server.close()
        alone = _alone(run, asked, Path(folder))
    for row, answered in zip(rows, answers, strict=True):
        row["of their point"] = sum(
            answer.text == alone[each.name, each.prompt] and answer.names == {each.name} for each, answer in answered
        )
    table = Table(title=f"{count} requests over {len(POINTS)} points")
    for column in rows[0]:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()))
    Console().print(table)
    print(json.dumps(rows))


def _timed(
    server: Server, parts: Sequence[Sequence[Asked]], concurrent: int
) -> tuple[dict[str, Any], list[tuple[Asked, Answered]]]:
    """Sends one part after the other; returns a row of the table, and every request with its answer."""
    before = len(_switches(server))
    answers: list[tuple[Asked, Answered]] = []
    start = time.perf_counter()
    for part in parts:
        answers += zip(part, asyncio.run(ask(server.url, part, concurrent)), strict=True)
    seconds = time.perf_counter() - start
    took = _switches(server)[before:]
    return {
        "switches": len(took),
        "median ms": median(took) if took else 0.0,
        "worst ms": max(took, default=0.0),
        "requests per s": len(answers) / seconds,
    }, answers


def _switches(server: Server) -> list[float]:
    """Milliseconds of every switch so far."""
    return [float(took) for took in re.findall(r"switched in ([0-9.]+) ms", server.log.read_text())]


def _alone(run: Path, asked: Sequence[Asked], folder: Path) -> dict[tuple[str, str], str]:
    """What engines say that hold one point each, by point and prompt."""
    alone: dict[tuple[str, str], str] = {}
    for name in POINTS:
        prompts = sorted({each.prompt for each in asked if each.name == name})
        export = Run.open(run).export(name, folder / name)
        texts = in_process(by_a_fresh_engine, export, prompts)
        alone |= {(name, prompt): text for prompt, text in zip(prompts, texts, strict=True)}
    return alone


if __name__ == "__main__":
    typer.run(main)
