"""Measures the merges of the table with a live engine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ama_ray.config import RunConfig
from benchmarks.real_pair.live import Live
from testing.real_pair import table
from testing.real_pair.points import points

if TYPE_CHECKING:
    from pathlib import Path

SPACE = "per-layer"
"""Of the table, whose points any other space over depth can be compared with: 32 ratios here."""
PROMPTS = 200
ITEMS = {"arc_easy": 400, "piqa": 100}
"""Of every point, by preset: more than a trial sees, as a search on the table draws its own from them."""


def make(run_file: Path, folder: Path, most: int | None, minutes: float) -> None:
    """Measures points on the report split, those that are not there yet, until the time is up.

    Args:
        run_file: Of the pair.
        folder: Gets a file per point.
        most: Only so many points, counted from the first; None is all.
        minutes: After which no further point is begun.
    """
    began = time.perf_counter()
    live = Live.open(_config(run_file))
    folder.mkdir(exist_ok=True)
    moved = live.inputs.groups.moved(live.inputs.pair.moves)
    live.ask_base(["report"])
    live.attach()
    print(f"ready after {time.perf_counter() - began:.0f} s", flush=True)
    for point in points(len(moved))[:most]:
        if table.file_of(folder, point).exists():
            continue
        if time.perf_counter() - began > 60 * minutes:
            break
        live.swap(point.ratios)
        measured, seconds = live.measure("report")
        table.write(folder, moved, point, measured.items)
        told = [f"{name} {array[:, 0].mean():.3f}" for name, array in measured.items.items()]
        print(f"{point.name}: {seconds:.1f} s, {', '.join(told)}", flush=True)


def _config(run_file: Path) -> RunConfig:
    config = RunConfig.load(run_file)
    fields: dict[str, Any] = config.model_dump(mode="json")
    for reward in fields["reward"]:
        reward["prompts"]["items"] = PROMPTS
    fields["tax"] = [probe | {"items": ITEMS[probe["preset"]]} for probe in fields["tax"]]
    return RunConfig.from_arguments(**fields | {"space": SPACE})
