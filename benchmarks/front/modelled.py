"""A model of the miniature's landscape, item by item, so that a trial costs a millisecond instead of a second.

A small network is fitted to what random merges of the miniature score on every item of the report split: trunk and a
logistic output for each probe item, and a linear one for each prompt's reward. An item is right where its logit is
above zero, as replies are greedy; a reward is the output plus noise of the size of the residuals, as replies are
sampled. The truth of any ratios is what all items score without that noise.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch
import typer

from testing.landscape import Landscape

if TYPE_CHECKING:
    from numpy.typing import NDArray

from pathlib import Path

SPACE = "attention-mlp"
"""The finest space of which merges are scored; the others tie some of its ratios."""


def merges(groups: int, count: int, seed: int = 0) -> NDArray[np.float64]:
    """Ratios to score, shape (count, groups).

    A level, for every second one below a half, as weak pairs are there; around it a spread from none to wide; in every
    third merge a few groups at 0 or at twice the level.
    """
    draw = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        level = draw.uniform(0, 0.5 if number % 2 else 1.0)
        spread = draw.choice([0.0, 0.1, 0.25, 0.5]) * (0.3 + level)
        row = np.clip(level + spread * draw.standard_normal(groups), 0, 1)
        if number % 3 == 2:
            few = draw.random(groups) < 0.3
            row[few] = np.clip(2 * level, 0, 1) * (draw.random(few.sum()) < 0.5)
        rows.append(row)
    return np.array(rows)


def score(aligned: str, folder: Path, row: list[float]) -> None:
    """Scores one merge, to the landscape's cache."""
    torch.set_num_threads(1)
    landscape = _opened(aligned, folder)
    landscape.items(dict(zip(landscape.groups, row, strict=True)), "search")


_landscapes: dict[tuple[str, Path], Landscape] = {}


def _opened(aligned: str, folder: Path) -> Landscape:
    key = aligned, folder
    if key not in _landscapes:
        _landscapes[key] = Landscape(aligned, SPACE, folder / "cache")
    return _landscapes[key]


def main(
    aligned: str = "rsf",
    count: int = 400,
    folder: Annotated[Path, typer.Option()] = Path("runs/benchmark-search"),
    processes: int = 2,
) -> None:
    """Scores the merges that the model is fitted to; what has been scored is not scored again."""
    groups = len(_opened(aligned, folder).groups)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(score, aligned, folder, row.tolist()) for row in merges(groups, count)]
        for number, job in enumerate(jobs):
            job.result()
            if number % 20 == 0:
                print(number, flush=True)


if __name__ == "__main__":
    typer.run(main)
