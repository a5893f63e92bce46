"""Is a pair without a trade told as one, and is a clear one let pass? Base against aligned, 200 times each.

    python -m benchmarks.front.trade

A search tests base against aligned once both are scored, and ends there where they do not differ beyond error
(`ama_ray.analysis.trade_test`). Each line is a kind of pair: how often it was told to have no trade, and how often
that was wrong: a false alarm stops a pair that has one, a miss lets a pair pass that has none. Made-up pairs have
items that are drawn anew each time: 16 to 200 prompts, and as many items of each of three probes, of which base and
aligned answer one in ten differently. The miniature's aligned models are tested on random parts of their items; its
base also against itself with random noise in every weight, each copy scored by a live engine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from ama_ray.analysis.trade_test import TradeTest
from ama_ray.config import RunConfig
from ama_ray.evaluation.terms import objectives_of
from ama_ray.miniature import ROOT
from ama_ray.scores.objectives import Items, Objectives
from ama_ray.scores.terms import ProbeTerm, RewardTerm
from benchmarks.front.noisy_base import NoisyBase
from testing.landscape import Landscape

PROBES = ("piqa", "arc", "squad")
OBJECTIVES = Objectives(
    (RewardTerm("reward", "reward", 1.0, 0),), tuple(ProbeTerm(name, name, "mean") for name in PROBES)
)
DISAGREEING = 0.1
"""The share of items that base and aligned answer differently, as two checkpoints of a small model do."""
WITHIN = 0.5
"""Standard deviation of what a prompt's reward differs by, in those of rewards over prompts."""
ERRORS = (3, 5, 10)
"""Sizes of the gain and of the tax of pairs with a trade, in standard errors."""

Test = Callable[..., TradeTest]


def main(
    repetitions: int = 200,
    noise: Annotated[list[float], typer.Option(help="In standard deviations of each tensor.")] = [0.01, 0.03, 0.1, 0.3],  # noqa: B006
    folder: Annotated[Path, typer.Option(help="Keeps what the miniature scores.")] = Path(
        "runs/benchmark-search/cache"
    ),
) -> None:
    """Prints a table and a JSON object."""
    rows = []
    for name, trade, test in [*made_up(), *of_the_miniature(folder), *with_noise(folder, noise)]:
        tests = [test(seed) for seed in range(repetitions)]
        told = sum(not each.clear for each in tests)
        rows.append(
            {
                "pair": name,
                "trade": trade,
                "told": told,
                "wrong": told if trade else repetitions - told,
                "gain": _mean_size(tests, "reward"),
                "tax": _mean_size(tests, "tax"),
            }
        )
    table = Table(title=f"Told to have no trade, of {repetitions}")
    for column in ("pair", "gain", "tax", "has a trade", "told", "misses", "false alarms"):
        table.add_column(column, justify="left" if column == "pair" else "right")
    for row in rows:
        wrong = str(row["wrong"])
        alarms = ("", wrong) if row["trade"] else (wrong, "")
        sizes = (f"{row['gain']:.1f}", f"{row['tax']:.1f}")
        table.add_row(str(row["pair"]), *sizes, "yes" if row["trade"] else "no", str(row["told"]), *alarms)
    Console(width=120).print(table)
    print("gain, tax: the mean of the estimates, in standard errors")
    print(json.dumps(rows))


def made_up() -> Iterator[tuple[str, bool, Test]]:
    """Pairs whose items are drawn anew: their names, whether they have a trade, and their tests."""
    for count in (16, 48, 100, 200):
        yield f"equal, {count} items", False, partial(drawn, count=count, gain=0, tax=0)
    yield "reward only (5 errors), 100 items", False, partial(drawn, count=100, gain=5, tax=0)
    yield "tax only (5 errors), 100 items", False, partial(drawn, count=100, gain=0, tax=5)
    yield "reward only (2 errors), 48 items", False, partial(drawn, count=48, gain=2, tax=0)
    for errors in ERRORS:
        yield f"both {errors} errors, 100 items", True, partial(drawn, count=100, gain=errors, tax=errors)


def drawn(seed: int, count: int, gain: int, tax: int) -> TradeTest:
    """A test of made-up items; gain and tax in standard errors of their estimates."""
    draw = np.random.default_rng([seed, count, gain, tax])
    before = draw.normal(size=count)
    after = before + WITHIN * (gain / count**0.5 + draw.normal(size=count))
    base, aligned = {"reward": before[:, None]}, {"reward": after[:, None]}
    lost = tax * (DISAGREEING / count / len(PROBES)) ** 0.5
    disagreeing = max(DISAGREEING, lost)
    for name in PROBES:
        kind, right = draw.random(count), draw.random(count) < 0.6
        worse, better = kind < (disagreeing + lost) / 2, kind > 1 - (disagreeing - lost) / 2
        first = np.where(worse, 1.0, np.where(better, 0.0, right))
        base[name], aligned[name] = first[:, None], np.where(worse, 0.0, np.where(better, 1.0, first))[:, None]
    return TradeTest.of(OBJECTIVES, base, aligned)


def of_the_miniature(folder: Path) -> Iterator[tuple[str, bool, Test]]:
    """The aligned models of the miniature, on parts of their items."""
    for aligned in ("rsf", "dpo", "rloo"):
        landscape = Landscape(aligned, "uniform", folder)
        ends = [landscape.items(dict.fromkeys(landscape.groups, ratio), "search") for ratio in (0.0, 1.0)]
        for count in (12, 25, 50):
            test = partial(_on_part, objectives=landscape.objectives, ends=ends, count=count)
            yield f"miniature, {aligned}, {count} items", True, test


def with_noise(folder: Path, noises: list[float]) -> Iterator[tuple[str, bool, Test]]:
    """The miniature's base against itself with random noise in its weights, on parts of their items."""
    copies, objectives = NoisyBase(folder / "noisy-base"), objectives_of(RunConfig.load(ROOT / "run.yaml"))
    for noise in noises:
        for count in (12, 25, 50, 100):
            test = partial(_noisy, objectives=objectives, copies=copies, noise=noise, count=count)
            yield f"miniature, base with {noise:.0%} of noise, {count} items", False, test


def _on_part(seed: int, objectives: Objectives, ends: list[Items], count: int) -> TradeTest:
    draw = np.random.default_rng(seed)
    chosen = {name: draw.choice(len(each), count, replace=False) for name, each in ends[0].items()}
    base, aligned = ({name: items[name][rows] for name, rows in chosen.items()} for items in ends)
    return TradeTest.of(objectives, base, aligned)


def _noisy(seed: int, objectives: Objectives, copies: NoisyBase, noise: float, count: int) -> TradeTest:
    return _on_part(seed, objectives, [copies.items(0.0, 0), copies.items(noise, seed)], count)


def _mean_size(tests: list[TradeTest], name: str) -> float:
    """The mean of an estimate, in its standard errors; 0 where all items are as before."""
    parts = [part for test in tests for part in test.parts if part.name == name]
    return float(np.mean([part.value / part.se if part.se else 0.0 for part in parts]))


if __name__ == "__main__":
    typer.run(main)
