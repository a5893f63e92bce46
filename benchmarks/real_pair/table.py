"""Measures the merges of the table with a live engine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ama_ray.config import RunConfig
from ama_ray.evaluation.evaluation import SPLITS
from benchmarks.real_pair.live import Live
from testing.real_pair import table
from testing.real_pair.points import points

if TYPE_CHECKING:
    from pathlib import Path

SPACE = "per-layer"
"""Of the table, whose points any other space over depth can be compared with: 32 ratios here."""


def make(run_file: Path, folder: Path, most: int | None, minutes: float) -> None:
    """Measures points on both splits, those that are not there yet, until the time is up.

    Args:
        run_file: Of the pair.
        folder: Gets a file per point.
        most: Only so many points, counted from the first; None is all.
        minutes: After which no further point is begun.
    """
    began = time.perf_counter()
    live = Live.open(RunConfig.load(run_file, space=SPACE))
    folder.mkdir(exist_ok=True)
    groups = live.inputs.groups.names
    live.ask_base(SPLITS)
    live.attach()
    print(f"ready after {time.perf_counter() - began:.0f} s", flush=True)
    for point in points(len(groups))[:most]:
        if table.file_of(folder, point).exists():
            continue
        if time.perf_counter() - began > 60 * minutes:
            break
        live.swap(point.ratios)
        measured = {split: live.measure(split) for split in SPLITS}
        table.write(
            folder, groups, point, {split: (each.items, seconds) for split, (each, seconds) in measured.items()}
        )
        told = [f"{split} {seconds:.1f} s" for split, (_, seconds) in measured.items()]
        told += [f"{name} {array.mean():.3f}" for name, array in measured["report"][0].items.items()]
        print(f"{point.name}: {', '.join(told)}", flush=True)
