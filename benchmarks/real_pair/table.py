"""Measures the merges of the table with a live engine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from ama_ray.config import RunConfig
from ama_ray.evaluation.evaluation import SPLITS
from benchmarks.real_pair.live import Live
from testing.real_pair.points import points
from testing.real_pair.table import GROUPS, RATIOS, SECONDS

if TYPE_CHECKING:
    from pathlib import Path


def make(run_file: Path, folder: Path, most: int | None, minutes: float) -> None:
    """Measures points on both splits, those that are not there yet, until the time is up.

    Args:
        run_file: Of the pair.
        folder: Gets a file per point.
        most: Only so many points, counted from the first; None is all.
        minutes: After which no further point is begun.
    """
    began = time.perf_counter()
    live = Live.open(RunConfig.load(run_file))
    folder.mkdir(exist_ok=True)
    groups = live.inputs.groups.names
    live.keep_as_base(SPLITS)
    live.attach()
    print(f"ready after {time.perf_counter() - began:.0f} s", flush=True)
    for point in points(len(groups))[:most]:
        file = folder / f"{point.name}.npz"
        if file.exists():
            continue
        if time.perf_counter() - began > 60 * minutes:
            break
        live.swap(point.ratios)
        found: dict[str, Any] = {GROUPS: np.array(groups), RATIOS: np.array(point.ratios)}
        for split in SPLITS:
            measured, seconds = live.measure(split)
            found |= {f"{split}/{name}": array for name, array in measured.items.items()}
            found[f"{SECONDS}-{split}"] = np.array(seconds)
        # A name that no reader looks for, until it is whole.
        partial = file.with_suffix(".partial")
        with partial.open("wb") as stream:
            np.savez_compressed(stream, **found)
        partial.rename(file)
        seconds_of = ", ".join(f"{split} {float(found[f'{SECONDS}-{split}']):.1f} s" for split in SPLITS)
        means = ", ".join(f"{name} {array.mean():.3f}" for name, array in measured.items.items())
        print(f"{point.name}: {seconds_of}; report: {means}", flush=True)
