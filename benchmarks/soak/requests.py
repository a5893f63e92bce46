"""A server under load: do memory and open files of `ama-ray serve` grow with the requests, and are the answers right?

    python -m benchmarks.soak.requests

The server answers at five points of the bundled pair. First come `--requests` completions at temperature 0, 16 at a
time, while what each of its processes holds is sampled from outside; a slope is flat as in `benchmarks.soak`. Then
`--mixed` more, 40 at a time, beside 460 clients that misbehave: 200 that say nothing, 100 whose request comes byte by
byte, 50 that ask and leave, 60 with a body or a head that is too large, 50 that ask and do not read. Every answer is
compared, letter by letter, with what transformers says on the point's export. Last comes SIGTERM, while 40 wait.
Prints a table and a JSON object; the exit code is 1 where an answer was wrong, or missing, or something grew.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import tempfile
import threading
import time
from collections import Counter, defaultdict
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import numpy as np
import psutil
import typer
from rich.console import Console
from rich.table import Table

from ama_ray.api import Run
from benchmarks.soak.watch import FLAT, fitted, holds
from benchmarks.speed.swap import in_process
from testing import servers
from testing.made_up_run import POINTS, Asked, ask, by_transformers, make_run, requests
from testing.search_process import title

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from testing.servers import Server

Known = dict[tuple[str, str], str]
"""Answers by point and prompt."""
BATCH = 250
"""Requests between two samples."""
HEAD = b"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


def main(
    count: Annotated[int, typer.Option("--requests", help="While memory is sampled.")] = 10_000,
    mixed: Annotated[int, typer.Option(help="Beside clients that misbehave.")] = 2_000,
) -> None:
    """Asks a server, and prints what became of the answers and of its memory."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        run = make_run(Path(folder, "run"))
        choice = requests(POINTS, 200)
        known = _known(run, choice, Path(folder))
        server = servers.launch(["serve", str(run), "--port", "0"], Path(folder, "log"))
        try:
            rows, wrong, pace = _watched(server, choice, known, count)
            crowd: Counter[str] = Counter()
            with _crowd(server.url, crowd):
                wrong_beside = _wrong(server, random.Random(1).choices(choice, k=mixed), known, 40)
            ended = _end(server, choice)
        finally:
            server.kill()
    if rows:
        table = Table(*rows[0])
        for row in rows:
            table.add_row(*(str(value) for value in row.values()))
        Console(width=140).print(table)
    found = {
        "requests": count,
        "wrong": wrong,
        "requests per s, first and last quarter": pace,
        "mixed": mixed,
        "wrong beside the crowd": wrong_beside,
        "the crowd": dict(crowd),
        "seconds from SIGTERM to the end of all": ended,
        "rows": rows,
    }
    print(json.dumps(found))
    if wrong or wrong_beside or not all(row["flat"] for row in rows):
        raise typer.Exit(1)


def _known(run: Path, asked: Sequence[Asked], folder: Path) -> Known:
    """What transformers says on each point's export."""
    known: Known = {}
    for name in POINTS:
        prompts = sorted({each.prompt for each in asked if each.name == name})
        texts = in_process(by_transformers, Run.open(run).export(name, folder / name), prompts)
        known |= {(name, prompt): text for prompt, text in zip(prompts, texts, strict=True)}
    return known


def _wrong(server: Server, asked: Sequence[Asked], known: Known, concurrent: int) -> int:
    """How many answers are not those of their point. One that does not come ends the program."""
    answers = asyncio.run(ask(server.url, asked, concurrent))
    right = [
        answer.text == known[each.name, each.prompt] and answer.names == {each.name}
        for each, answer in zip(asked, answers, strict=True)
    ]
    return right.count(False)


def _watched(
    server: Server, choice: Sequence[Asked], known: Known, count: int
) -> tuple[list[dict[str, Any]], int, list[float]]:
    """A row for all that each process holds, how many answers were wrong, and requests per second at both ends."""
    draws, wrong, numbers = random.Random(0), 0, []
    samples: dict[tuple[str, str], list[float]] = defaultdict(list)
    seconds = []
    for done in range(BATCH, count + 1, BATCH):
        start = time.perf_counter()
        wrong += _wrong(server, draws.choices(choice, k=BATCH), known, 16)
        seconds.append(time.perf_counter() - start)
        numbers.append(float(done))
        for process in _processes(server):
            for kind, value in holds(process).items():
                samples[f"{title(process)[-30:]} {process.pid}", kind].append(value)
    # Caches fill during the first tenth.
    begin, rows = len(numbers) // 10, []
    for (name, kind), values in samples.items():
        if len(values) < len(numbers):
            continue
        slope, error = fitted(np.array(numbers[begin:]), np.array(values[begin:]))
        rows.append(
            {
                "process": name,
                "of": kind,
                "after warm-up": round(values[begin], 1),
                "at the end": round(values[-1], 1),
                "per 1000 requests": round(1000 * slope, 3),
                "error": round(1000 * error, 3),
                "flat": bool(1000 * slope < max(2 * 1000 * error, FLAT[kind])),
            }
        )
    quarter = max(1, len(seconds) // 4)
    pace = [BATCH * quarter / sum(part) for part in (seconds[:quarter], seconds[-quarter:])] if seconds else []
    return rows, wrong, [round(each, 1) for each in pace]


def _processes(server: Server) -> list[psutil.Process]:
    first = psutil.Process(server.process.pid)
    return [first, *first.children(recursive=True)]


@contextmanager
def _crowd(url: str, became: Counter[str]) -> Iterator[None]:
    """460 clients that misbehave for as long as this lasts, in a thread; counts what became of their connections."""
    address, ends = urlsplit(url), threading.Event()
    host, port = str(address.hostname), int(address.port or 0)

    async def client(kind: str, misbehave: Callable[[Any, Any], Awaitable[object]]) -> None:
        while not ends.is_set():
            try:
                reader, writer = await asyncio.open_connection(host, port)
                try:
                    await misbehave(reader, writer)
                    became[kind] += 1
                finally:
                    writer.close()
            except OSError:
                became[f"{kind}: ended by the server"] += 1
            await asyncio.sleep(0.5)

    async def all_of_them() -> None:
        tasks = [
            asyncio.create_task(client(kind, act))
            for kind, (number, act) in MISBEHAVIOUR.items()
            for _ in range(number)
        ]
        while not ends.is_set():
            await asyncio.sleep(0.1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    thread = threading.Thread(target=lambda: asyncio.run(all_of_them()))
    thread.start()
    try:
        yield
    finally:
        ends.set()
        thread.join()


def _completion(point: str) -> bytes:
    body = json.dumps({"model": point, "prompt": "hi", "max_tokens": 60, "stream": True}).encode()
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


async def _say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for byte in HEAD:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.3)


async def _leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(_completion(random.choice(POINTS)))
    await writer.drain()
    await asyncio.sleep(random.random())


async def _send_too_much(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        writer.write(random.choice([HEAD + b"Content-Length: %d\r\n\r\n" % 2**40, HEAD + b"X-A: " + b"a" * 2**20]))
        await writer.drain()
    answer = await reader.read()
    if answer and not answer.startswith((b"HTTP/1.1 413 ", b"HTTP/1.1 400 ")):
        raise OSError("it was answered")


async def _read_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(_completion(random.choice(POINTS)))
    await writer.drain()
    await asyncio.sleep(5)


MISBEHAVIOUR: dict[str, tuple[int, Callable[[Any, Any], Awaitable[object]]]] = {
    "say nothing": (200, _say_nothing),
    "byte by byte": (100, _trickle),
    "ask and leave": (50, _leave),
    "too large": (60, _send_too_much),
    "ask and do not read": (50, _read_nothing),
}
"""How many do what."""


def _end(server: Server, choice: Sequence[Asked]) -> float:
    """SIGTERM while requests wait; returns the seconds until all processes have ended."""
    waiting = threading.Thread(target=_ask_in_vain, args=(server, [*choice, *choice]))
    waiting.start()
    time.sleep(1)
    start = time.perf_counter()
    server.close()
    seconds = time.perf_counter() - start
    waiting.join()
    return round(seconds, 2)


def _ask_in_vain(server: Server, asked: Sequence[Asked]) -> None:
    with suppress(Exception):  # the server ends
        asyncio.run(ask(server.url, asked, 40))


if __name__ == "__main__":
    typer.run(main)
