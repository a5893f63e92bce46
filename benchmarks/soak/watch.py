"""What the processes of a search hold, from outside, as its trials go by."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from testing.search_process import offspring, title

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

EVERY = 1.0
"""Seconds between two samples."""
BLOCKS = 12
"""Samples that follow each other are alike; the means of so many blocks of them are fitted instead."""
FLAT = {"MB": 0.5, "file descriptors": 0.5}
"""Growth in 100 trials that counts for none, where it is more than its error."""
ROLES = {"ResourceTrainable": "actor", "SleepTrial": "actor", "SwapTrial": "actor", "raylet/raylet": "raylet"}


@dataclass(frozen=True)
class Sample:
    """What one process held.

    Attributes:
        trials: That had ended by then.
        values: By what it is.
    """

    trials: int
    values: dict[str, float]


class Watch:
    """Samples the driver of a search and the processes it has started.

    Memory is what the kernel calls `RssAnon`: neither the object store, which is shared, nor files.
    """

    def __init__(self, driver: int, out: Path) -> None:
        """Watches a process that writes a run to a folder."""
        self._driver = psutil.Process(driver)
        self._items = out / "items"
        self._samples: dict[str, list[Sample]] = defaultdict(list)
        self._paces: list[tuple[float, int]] = []

    def follow(self, runs: Callable[[], bool]) -> None:
        """Samples for as long as the search runs."""
        while runs():
            trials = self._ended()
            self._paces.append((time.monotonic(), trials))
            for process in [self._driver, *offspring([self._driver.pid])]:
                name = "driver" if process == self._driver else _role(process)
                if name and (values := holds(process)):
                    self._samples[f"{name} {process.pid}"].append(Sample(trials, values))
            time.sleep(EVERY)

    def rows(self, warm_up: int) -> list[dict[str, Any]]:
        """A row for everything that a process held which lived from the warm-up to the end of the search.

        Args:
            warm_up: Trials that do not count.
        """
        most, rows = max(trials for _, trials in self._paces), []
        for name, every in self._samples.items():
            # Once all have ended comes the report, whose trials are larger.
            late = [each for each in every if warm_up <= each.trials < most]
            if not late or every[0].trials > warm_up or late[-1].trials < 0.9 * most:
                continue
            number = np.array([each.trials for each in late], dtype=float)
            for kind in late[0].values:
                held = np.array([each.values[kind] for each in late])
                slope, error = fitted(number, held)
                half = number >= (number[0] + number[-1]) / 2
                rows.append(
                    {
                        "process": name.split()[0],
                        "of": kind,
                        "after warm-up": round(float(held[:3].mean()), 1),
                        "at the end": round(float(held[-3:].mean()), 1),
                        "per 100 trials": round(100 * slope, 3),
                        "error": round(100 * error, 3),
                        "second half": round(100 * fitted(number[half], held[half])[0], 3),
                        "flat": bool(100 * slope < max(2 * 100 * error, FLAT[kind])),
                    }
                )
        return sorted(rows, key=lambda row: row["process"])

    def pace(self, warm_up: int) -> list[float]:
        """Trials a minute in the first and in the last quarter of the trials after the warm-up."""
        most = max(trials for _, trials in self._paces)
        first = warm_up + (most - warm_up) / 4
        last = most - (most - warm_up) / 4
        return [self._pace(warm_up, first), self._pace(last, most)]

    def _pace(self, low: float, high: float) -> float:
        (start, first) = next(pair for pair in self._paces if pair[1] >= low)
        (end, last) = next(pair for pair in self._paces if pair[1] >= high)
        return round(60 * (last - first) / (end - start), 1)

    def _ended(self) -> int:
        return sum(1 for _ in self._items.glob("search/*.npz"))


def fitted(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Of a line through the means of blocks, with its standard error."""
    blocks = [part for part in np.array_split(np.arange(len(x)), BLOCKS) if len(part)]
    if len(blocks) < 3:
        return math.nan, math.nan
    a, b = (np.array([values[part].mean() for part in blocks]) for values in (x, y))
    spread = ((a - a.mean()) ** 2).sum()
    slope = ((a - a.mean()) * (b - b.mean())).sum() / spread
    rest = b - b.mean() - slope * (a - a.mean())
    return float(slope), float(np.sqrt((rest**2).sum() / (len(blocks) - 2) / spread))


def _role(process: psutil.Process) -> str:
    name = title(process)
    return next((role for part, role in ROLES.items() if part in name), "")


def holds(process: psutil.Process) -> dict[str, float]:
    try:
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines()
        files = len(list(Path(f"/proc/{process.pid}/fd").iterdir()))
    except OSError:  # it has ended
        return {}
    kilobytes = next((int(line.split()[1]) for line in status if line.startswith("RssAnon")), None)
    return {} if kilobytes is None else {"MB": kilobytes / 1000, "file descriptors": files}
