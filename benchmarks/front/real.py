"""The real pair, fitted to the table of its merges: its searches are tried without an engine, and its truth is known.

    python -m benchmarks.front.real

says how well the fit knows merges that it was not fitted to. `real_table/` is a table that `python -m
benchmarks.real_pair` made; docs/real-pair.md has what it holds.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
import typer

from ama_ray.scores.objectives import Objectives
from ama_ray.scores.terms import ProbeTerm, RewardTerm
from ama_ray.space.parametrization import parametrization
from benchmarks.front.fitted import Fitted, Network, fit
from testing.real_pair.table import Table

REWARD, PROBE = "reward", "arc_easy"
OBJECTIVES = Objectives((RewardTerm(REWARD, REWARD, 1.0, 0),), (ProbeTerm(PROBE, PROBE, "mean"),))
"""What is traded: ARC-Easy alone is the tax, as PIQA loses nothing that its items could show."""
TABLE = Path(__file__).parent / "real_table"
HELD_OUT = 8


class RealPair(Fitted):
    """The real pair as a search of some of its items sees it."""

    def __init__(self, problem: str, seed: int) -> None:
        """Draws the items.

        Args:
            problem: `real:SPACE:ITEMS`. The space is `per-layer`, or a number of knots over depth besides embeddings
                and head; so many items and prompts on each split.
            seed: Of which items, and of the noise of replies.
        """
        name, space, items = problem.split(":")
        table = Table.read(TABLE)
        knots = None if space == "per-layer" else _knots(table.groups, int(space))
        shape = parametrization(dict.fromkeys(table.groups, (0.0, 1.0)), None, knots)
        rows = [shape.to_ratios({each: float(each == name) for each in shape.ranges}) for name in shape.ranges]
        inputs = {each: np.array([*row.values()]) for each, row in zip(shape.ranges, rows, strict=True)}
        moved = shape.moved(dict(zip(table.groups, table.moved.tolist(), strict=True)))
        super().__init__(name, space, network(), inputs, moved, OBJECTIVES, count=int(items), seed=seed)


@cache
def network() -> Network:
    """Fitted to the whole table."""
    table = Table.read(TABLE)
    return _fitted(table, range(len(table.names)))


def _fitted(table: Table, points: range | np.ndarray) -> Network:
    items = [{name: table.items[name][point] for name in (REWARD, PROBE)} for point in points]
    return fit(table.ratios[list(points)], items, [PROBE])


def _knots(groups: tuple[str, ...], count: int) -> dict[str, dict[str, float]]:
    """The weights of knots at equal distances over the layers, those beside a layer by how near they are."""
    layers = groups[1:-1]
    found = {}
    for layer, place in zip(layers, np.linspace(0, count - 1, len(layers)), strict=True):
        before = min(int(place), count - 2)
        weights = {f"knot-{before}": 1 - (place - before), f"knot-{before + 1}": place - before}
        found[layer] = {knot: float(weight) for knot, weight in weights.items() if weight}
    return found


def main() -> None:
    """Fits all but some merges, and prints what is known of those."""
    table = Table.read(TABLE)
    order = np.random.default_rng(1).permutation(len(table.names))
    held, known = order[:HELD_OUT], order[HELD_OUT:]
    fitted = _fitted(table, known)
    with torch.no_grad():
        logits, means, _ = fitted(torch.tensor(table.ratios[held]).float())
    right, rewards = table.items[PROBE][held, :, 0], table.items[REWARD][held, :, 0]
    found = (logits > 0).double().numpy()
    print(f"{len(held)} of {len(order)} merges held out: {(found == right).mean():.1%} of items as they are")
    for name, each, true in ((PROBE, found, right), (REWARD, means.numpy(), rewards)):
        error = np.sqrt(((each.mean(1) - true.mean(1)) ** 2).mean())
        print(f"  error of the mean of {name}: {error:.3f}; of guessing the mean of all: {true.mean(1).std():.3f}")


if __name__ == "__main__":
    typer.run(main)
