"""Pictures that a run gets, and runs that are unusual to draw."""

from __future__ import annotations

import math
import struct
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.support.runs import in_folder
from tests.support.trials import with_objectives

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.run import StoredRun
    from ama_ray.scores.trial import Trial

UNUSUAL = ("empty", "one", "no tax", "no baseline", "no errors known", "outlier", "infinite")


def size(path: Path) -> tuple[int, int]:
    """The width and the height of a PNG file."""
    head = path.read_bytes()[:24]
    assert head.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def unusual(run: StoredRun, case: str, folder: Path) -> StoredRun:
    """A run in a folder, with the trials of another changed to one of the cases `UNUSUAL`."""
    trials: dict[str, list[Trial]] = {
        "empty": [],
        "one": [run.pareto.base],
        "no tax": [with_objectives(t, errors=(0.1, 0.0), tax=0.0) for t in run.trials],
        "no baseline": [t for t in run.trials if t.origin != "baseline"],
        "no errors known": [with_objectives(t, errors=(math.nan, math.nan)) for t in run.trials],
        "outlier": [*run.trials, replace(with_objectives(run.trials[-2], reward=-50.0, tax=0.9), number=99)],
        "infinite": [with_objectives(t, tax=math.inf) if t.uniform_ratio == 1 else t for t in run.trials],
    }
    return in_folder(run.with_trials(trials[case]), folder)
