"""A run folder of the miniature with a made-up front, and what its points answer by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ama_ray.config import RunConfig
from ama_ray.miniature import ROOT
from ama_ray.trial import Estimate, Origin, Scores, Trial
from ama_ray.trials_csv import write_trials

if TYPE_CHECKING:
    from pathlib import Path

GROUPS = ["embed", *(f"layer-{layer}" for layer in range(6)), "head"]
POINTS = ("knee", "trial-4", "uniform-0.5", "base", "aligned")
"""Five that differ: trial 3 is the knee."""


def make_run(folder: Path) -> Path:
    """Writes what a search leaves behind, as far as its points are read from it: no search has to run for that.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True)
    (folder / "run.yaml").write_text(RunConfig.load(ROOT / "run.yaml", out=folder).to_yaml(), encoding="utf-8")
    rising = {group: 0.1 + 0.1 * index for index, group in enumerate(GROUPS)}
    falling = {group: 1 - ratio for group, ratio in rising.items()}
    write_trials(
        folder / "trials.csv",
        [
            _trial(0, "baseline", dict.fromkeys(GROUPS, 0.0), 0.0, 0.0),
            _trial(1, "baseline", dict.fromkeys(GROUPS, 1.0), 4.0, 0.4),
            _trial(2, "baseline", dict.fromkeys(GROUPS, 0.5), 2.0, 0.2),
            _trial(3, "sampler", rising, 3.5, 0.05),
            _trial(4, "sampler", falling, 3.0, 0.02),
        ],
    )
    return folder


def _trial(number: int, origin: Origin, ratios: dict[str, float], reward: float, tax: float) -> Trial:
    scores = Scores({"reward": Estimate(reward, 0.1), "tax": Estimate(tax, 0.01)})
    return Trial(number, "complete", origin, ratios, scores)
