"""Damaged files of strangers, one after another in this process: does a reader crash, hang, or do more than read?

    python -m benchmarks.fuzz                          # every reader, ten minutes in all
    python -m benchmarks.fuzz trials.csv --minutes 5
    python -m benchmarks.fuzz --seed 7 --count 1000    # the same files again

The files are those of `testing.strangers_files`: of a run's folder, an export, an archive, a checkpoint, and of a run
file's data. Each is damaged byte by byte and in what its bytes stand for (`benchmarks.fuzz.mutations`). It is to be
read, or refused by a `UserError`, within ten seconds; nothing is written beside it, nothing run, unpickled or connected
to (`benchmarks.fuzz.watch`). Readers take turns of 200 files. What fails is printed once for each place in the source;
with `--keep` its file is kept. Prints a table and a JSON object; the exit code is 1 where something failed.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Annotated, Any
from unittest import mock

import typer
from rich.console import Console
from rich.table import Table

from ama_ray.errors import UserError
from benchmarks.fuzz.mutations import mutated
from benchmarks.fuzz.watch import Watch
from testing.strangers_files import READERS, write_all

if TYPE_CHECKING:
    from types import FrameType

TURN = 200
LIMIT = 10
"""Seconds that a reader may take."""


class Late(BaseException):
    """It took too long. No `except Exception` of a reader takes it for a damaged file."""


class Fuzzer:
    """Runs readers on damaged files, and counts.

    Attributes:
        count: Files read, by reader.
        refused: Those of them that were refused.
        slowest: Seconds that the slowest of them took.
        failures: What failed, each place in the source once, with the number of times.
    """

    def __init__(self, folder: Path, seed: int, keep: Path | None) -> None:
        """Writes the files to a folder."""
        self._folder, self._seed, self._keep = folder, seed, keep
        write_all(folder)
        self._sound = {name: (folder / name).read_bytes() for name in READERS}
        self._there = self._listed()
        self._watch = Watch(folder)
        self.count: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.slowest = dict.fromkeys(READERS, 0.0)
        self.failures: Counter[str] = Counter()
        signal.signal(signal.SIGALRM, _late)

    def turn(self, name: str, until: float) -> None:
        """Reads the next files of one kind, and puts the sound one back."""
        for number in range(self.count[name], self.count[name] + TURN):
            content = mutated(name, self._sound[name], Random(f"{self._seed} {name} {number}"))
            if why := self._read(name, content):
                self._fail(f"{name}: {why}", f"{self._seed}-{number}-{Path(name).name}", content)
            if time.monotonic() > until:
                break
        (self._folder / name).write_bytes(self._sound[name])
        if odd := self._listed() ^ self._there:
            self._fail(f"{name}: beside the run: {odd}", "", b"")
            self._there = self._listed()

    def _read(self, name: str, content: bytes) -> str:
        """Reads a file; says what was wrong with that, if something was."""
        (self._folder / name).write_bytes(content)
        self.count[name] += 1
        why, start = "", time.perf_counter()
        signal.alarm(LIMIT)
        self._watch.listens = True
        try:
            READERS[name](self._folder)
        except UserError:
            self.refused[name] += 1
        except (Exception, Late) as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            why = f"{type(error).__name__} at {last.filename}:{last.lineno}\n{traceback.format_exc(limit=-6)}"
        finally:
            self._watch.listens = False
            signal.alarm(0)
        self.slowest[name] = max(self.slowest[name], time.perf_counter() - start)
        seen = "; ".join(self._watch.seen)
        self._watch.seen.clear()
        return seen or why

    def _fail(self, why: str, name: str, content: bytes) -> None:
        place = why.splitlines()[0]
        self.failures[place] += 1
        if self.failures[place] == 1:
            Console(stderr=True, width=200).print(why, markup=False)
            if self._keep and name:
                self._keep.mkdir(parents=True, exist_ok=True)
                (self._keep / name).write_bytes(content)

    def _listed(self) -> set[str]:
        return {path.name for path in self._folder.parent.iterdir()}


def _late(number: int, frame: FrameType | None) -> None:
    raise Late(f"it took more than {LIMIT} s")


def main(
    which: Annotated[list[str] | None, typer.Argument(help="Readers, by their files; default: all.")] = None,
    minutes: Annotated[float, typer.Option(help="In all.")] = 10.0,
    count: Annotated[int, typer.Option(help="Files for each reader at most; 0: as many as there is time for.")] = 0,
    seed: Annotated[int | None, typer.Option(help="Default: another one each time.")] = None,
    keep: Annotated[Path | None, typer.Option(help="Keep the files that failed in this folder.")] = None,
) -> None:
    """Runs the readers, prints the table."""
    seed = int.from_bytes(os.urandom(4)) if seed is None else seed
    start, names = time.monotonic(), which or list(READERS)
    # What a power failure leaves is not asked here.
    with tempfile.TemporaryDirectory(prefix="ama_ray-fuzz-") as scratch, mock.patch.object(os, "fsync"):
        fuzzer = Fuzzer(Path(scratch).resolve() / "run", seed, keep)
        while time.monotonic() < start + 60 * minutes and names:
            for name in list(names):
                fuzzer.turn(name, start + 60 * minutes)
                if count and fuzzer.count[name] >= count:
                    names.remove(name)
    rows = [_row(fuzzer, name) for name in fuzzer.count]
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console(width=120).print(table)
    found = {
        "seed": seed,
        "files": fuzzer.count.total(),
        "failures": fuzzer.failures,
        "most memory MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000,
        "seconds": round(time.monotonic() - start),
    }
    print(json.dumps(found | {"rows": rows}))
    if fuzzer.failures:
        raise typer.Exit(1)


def _row(fuzzer: Fuzzer, name: str) -> dict[str, Any]:
    failed = sum(times for why, times in fuzzer.failures.items() if why.startswith(f"{name}: "))
    return {
        "file": name,
        "read": fuzzer.count[name],
        "refused": fuzzer.refused[name],
        "failed": failed,
        "slowest s": round(fuzzer.slowest[name], 2),
    }


if __name__ == "__main__":
    typer.run(main)
