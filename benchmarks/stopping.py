"""Would it pay to stop hopeless trials early? Finished runs, replayed item by item.

    python -m benchmarks.stopping RUN [RUN ...]

A trial that the sampler chose would be scored in steps, and stopped once another trial beats it in every objective by
so many standard errors, paired on the items scored so far. Prints, for several degrees of doubt, the share of the
evaluation work of the search that this would save, and the hypervolume with and without the stopped trials. The replay
takes the trials as they were: what the sampler would have done with partial results is not in it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from ama_ray import ParetoSet
from ama_ray.item_store import ItemStore
from ama_ray.objectives import Objectives

if TYPE_CHECKING:
    from numpy.typing import NDArray

STEPS = (1 / 8, 1 / 4, 1 / 2)
"""Shares of the items after which a trial may be stopped."""
DOUBTS = (3.0, 2.0, 1.645, 1.0)
"""Standard errors by which another trial must be better in every objective: at 3, both differences are beyond doubt; at
1, each is wrong one time in six."""
Items = dict[str, "NDArray[np.float64]"]


def main(runs: Annotated[list[Path], typer.Argument(help="Folders of finished runs.")]) -> None:
    """Prints a table and a JSON object."""
    rows = [row for run in runs for row in _replayed(run)]
    table = Table(title=f"trials stopped after {', '.join(f'{share:g}' for share in STEPS)} of their items")
    for column in rows[0]:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()))
    Console().print(table)
    print(json.dumps(rows))


def _replayed(run: Path) -> list[dict[str, str | int | float]]:
    pareto = ParetoSet.open(run).search_split
    assert pareto.config is not None  # it was opened from a folder
    objectives, store = Objectives.of(pareto.config), ItemStore(run / "items")
    items = {trial.number: _shuffled(store.read("search", trial.number)) for trial in pareto.scored}
    rows: list[dict[str, str | int | float]] = []
    for doubt in DOUBTS:
        kept: list[int] = []
        work = 0.0
        for trial in pareto.scored:
            share = 1.0
            if trial.origin != "baseline":
                steps = (
                    s for s in STEPS if _beaten(objectives, items[trial.number], [items[n] for n in kept], s, doubt)
                )
                share = next(steps, 1.0)
            work += share
            if share == 1.0:
                kept.append(trial.number)
        left = ParetoSet([trial for trial in pareto.scored if trial.number in kept], pareto.config, split="search")
        rows.append(
            {
                "run": run.name,
                "doubt": doubt,
                "stopped": len(items) - len(kept),
                "saved": 1 - work / len(items),
                "hypervolume": pareto.hypervolume,
                "without the stopped": left.hypervolume,
            }
        )
    return rows


def _shuffled(items: Items) -> Items:
    """In one random order for all trials, as files may be sorted."""
    return {name: np.random.default_rng(0).permutation(array) for name, array in items.items()}


def _beaten(objectives: Objectives, items: Items, others: list[Items], share: float, doubt: float) -> bool:
    """Whether some other trial is better in every objective, beyond doubt, on a share of the items."""
    rewards = {term.name for term in objectives.rewards}

    def part(array: NDArray[np.float64]) -> NDArray[np.float64]:
        return array[: max(2, round(share * len(array)))]

    ours = {name: part(array) for name, array in items.items()}
    for other in others:
        theirs = {name: part(array) for name, array in other.items()}
        # With differences for rewards, and the other model in the place of base, all estimates are paired differences.
        differences = {name: theirs[name] - array if name in rewards else array for name, array in ours.items()}
        estimates = objectives.scores(differences, theirs).objectives.values()
        if all(estimate.value > doubt * estimate.se for estimate in estimates):
            return True
    return False


if __name__ == "__main__":
    typer.run(main)
