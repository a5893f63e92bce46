"""Made-up items of a made-up run, with what its points answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ama_ray.scores.item_text import ItemText
from tests.support.runs import in_folder

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.run import StoredRun

PROBES = ("arc", "squad", "drop", "fr-en")


def with_items(run: StoredRun, folder: Path, count: int = 6) -> StoredRun:
    """The run with items of the report split; trial 0 has all of arc right, and every other one none."""
    run = in_folder(run, folder)
    names = ("reward", *PROBES)
    run.texts.write_items({name: [ItemText(f"{name} {i}?", f"gold {i}") for i in range(count)] for name in names})
    for trial in run.trials:
        if trial.report is None:
            continue
        scores = {name: np.full((count, 1), float(name != "arc" or trial.number == 0)) for name in names}
        scores["reward"] = np.linspace(0, 1, count)[:, None] + 9 * trial.mean_ratio
        run.items.write("report", trial.number, scores)
        said = [f"{trial.number if name == 'arc' and i == 0 else 'same'}" for name in names for i in range(count)]
        run.texts.write_answers(trial.number, {name: said[i * count : (i + 1) * count] for i, name in enumerate(names)})
    return run
