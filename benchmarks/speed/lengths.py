"""What is the order of the replies worth? Replies of 20 and of 2,000 tokens through one engine, in two orders.

    python -m benchmarks.speed.lengths

Makes a Llama of random weights and asks it for many short replies and a few long ones, more than the engine takes at
once. No reply ends by itself, so that all are as long as is asked. Two orders take turns: that of a run file whose
long replies stand last, and the longest first, as a trial asks once trials before have shown the lengths. The engine's
best is its rate on replies of one length, as many at a time as it takes. Prints tokens per second of both orders as
ratios to it, and how many of its places were in use over all steps, which a busy machine does not change. As a table
and as JSON.
"""

from __future__ import annotations

import itertools
import json
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ama_ray.engine.lengths import Lengths
from ama_ray.engine.requests import Generation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.engine.in_process import InProcessEngine

SHORT, EVEN, LONG = 20, 500, 2_000
PROMPT = 16


def main(
    at_once: Annotated[int, typer.Option(min=1, help="replies that the engine generates together")] = 16,
    short: Annotated[int, typer.Option(min=1, help="replies of 20 tokens")] = 1_000,
    long: Annotated[int, typer.Option(min=1, help="replies of 2,000 tokens")] = 8,
    turns: Annotated[int, typer.Option(min=1, help="timed turns of each order")] = 3,
    threads: Annotated[int, typer.Option(min=1, help="PyTorch threads")] = 1,
) -> None:
    """Times both orders."""
    mixed = [*_requests(short, SHORT), *_requests(long, LONG)]
    asked = {
        "engine's best": _requests(2 * at_once, EVEN),
        "as in the run file": mixed,
        "longest first": [mixed[place] for place in Lengths().longest_first(mixed, range(len(mixed)))],
    }
    with tempfile.TemporaryDirectory() as folder:
        engine = _start(Path(folder), at_once, threads)
        _run(engine, mixed[:at_once])
        turns_of = [{name: _run(engine, each) for name, each in asked.items()} for _ in range(turns)]
    table = Table(title=f"{short} replies of {SHORT} tokens, {long} of {LONG}; {at_once} at once, {threads} thread(s)")
    for column in ("", "tokens/s, median", "of the engine's best", "lowest", "highest", "places in use"):
        table.add_column(column, justify="right" if column else "left")
    result: dict[str, dict[str, float]] = {}
    for name in asked:
        rates = [turn[name][0] for turn in turns_of]
        shares = [turn[name][0] / turn["engine's best"][0] for turn in turns_of]
        in_use = turns_of[0][name][1] / at_once
        table.add_row(
            name,
            f"{median(rates):.0f}",
            *(f"{share:.2f}" for share in (median(shares), min(shares), max(shares))),
            f"{in_use:.0%}",
        )
        result[name] = {"tokens_per_second": median(rates), "of_best": median(shares), "places_in_use": in_use}
    Console().print(table)
    print(json.dumps(result))


def _start(folder: Path, at_once: int, threads: int) -> InProcessEngine:
    """Starts an engine on a checkpoint that it makes, with room for the long replies."""
    from testing.checkpoints import make_pair

    base, _ = make_pair(folder)
    file = base / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"max_position_embeddings": 2 * LONG}))
    from ama_ray.config import EngineSettings
    from ama_ray.engine.in_process import InProcessEngine

    settings = EngineSettings(dtype="float32", cpus=threads, kv_cache_gib=1, max_num_seqs=at_once)
    return InProcessEngine(base, settings, PROMPT + LONG)


def _requests(count: int, tokens: int) -> list[Generation]:
    """Requests for replies of this length, each with a prompt of its own, so that none is in the cache."""

    def prompt(number: int) -> tuple[int, ...]:
        return tuple(4 + (number * 31 + place * tokens) % 290 for place in range(PROMPT))

    return [Generation(prompt(number), max_tokens=tokens) for number in range(count)]


def _run(engine: InProcessEngine, asked: Sequence[Generation]) -> tuple[float, float]:
    """Tokens per second and tokens per step, with the requests in this order."""
    engine.reset_cache()
    params: list[dict[str, Any]] = [
        {"max_tokens": request.max_tokens, "temperature": 0, "ignore_eos": True} for request in asked
    ]
    inner, steps = engine._llm.llm_engine, itertools.count()
    step = inner.step

    def counted() -> Any:
        next(steps)
        return step()

    inner.step = counted
    start = time.perf_counter()
    answers = engine._run([list(request.prompt) for request in asked], params)
    seconds = time.perf_counter() - start
    inner.step = step
    tokens = sum(sum(answer.counts) for answer in answers)
    return tokens / seconds, tokens / next(steps)


if __name__ == "__main__":
    typer.run(main)
