"""Tables and a plot of what `benchmarks.front.search` has run so far."""

from __future__ import annotations

import json
from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from ama_ray.pareto.hypervolume import hypervolume, non_dominated
from testing.landscape import Landscape

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from ama_ray.config import Split

BUDGETS = (20, 40, 60, 80, 160)
SHARES = (0.9, 0.95, 0.99)
REPORT_BUDGET = 40
BEST_KNOWN = "best known"


class Results:
    """The searches of one problem.

    Attributes:
        runs: By contestant, then by seed, the trials in their order.
    """

    def __init__(self, problem: str, folder: Path, seeds: int) -> None:
        """Reads the results of a problem, as `benchmarks.front.search` wrote them; seeds from 0."""
        self.problem = problem
        aligned, space = problem.split(":")
        self._landscape = Landscape(aligned, space, folder / "cache")
        self.runs: defaultdict[str, dict[int, list[dict[str, Any]]]] = defaultdict(dict)
        for file in sorted((folder / problem.replace(":", "-")).glob("*.jsonl")):
            name, _, seed = file.stem.rpartition("-")
            if int(seed) < seeds:
                rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
                self.runs[name.replace("-x-", " x ")][int(seed)] = rows

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Every trial of every contestant."""
        return [row for seeds in self.runs.values() for rows in seeds.values() for row in rows]

    @cached_property
    def best_known(self) -> list[dict[str, Any]]:
        """The front of all trials of all contestants."""
        return _front(self.rows)

    @cached_property
    def curves(self) -> dict[str, NDArray[np.float64]]:
        """By contestant, hypervolume as a share of the best known, shape (seeds, trials); NaN where there is none."""
        best = self.volume([_values(row) for row in self.best_known])
        curves = {}
        for name, seeds in self.runs.items():
            longest = max(map(len, seeds.values()))
            curve = np.full((len(seeds), longest), np.nan)
            for number, rows in enumerate(seeds.values()):
                front: list[list[float]] = []
                for position, row in enumerate(rows):
                    front.append(_values(row))
                    front = [point for point, keep in zip(front, non_dominated(front), strict=True) if keep]
                    curve[number, position] = self.volume(front) / best
            curves[name] = curve
        return curves

    def volume(self, points: list[list[float]], split: Split = "search") -> float:
        """Normalised hypervolume of points (reward, tax), by base and aligned of the split."""
        return hypervolume(points, *self._ends(split))

    def on_report(self) -> dict[str, NDArray[np.float64]]:
        """By contestant and seed, what its front after `REPORT_BUDGET` trials is worth on the report split.

        As a share of what all these fronts together are worth there; and, of one seed, what `BEST_KNOWN` is.
        """
        points: dict[str, list[list[list[float]]]] = {}
        for name, seeds in self.runs.items():
            complete = [rows[:REPORT_BUDGET] for rows in seeds.values() if len(rows) >= REPORT_BUDGET]
            points[name] = [[self._scored(row, "report") for row in _front(rows)] for rows in complete]
        best = self.volume([p for fronts in points.values() for front in fronts for p in front], "report")
        points[BEST_KNOWN] = [[self._scored(row, "report") for row in self.best_known]]
        return {
            name: np.array([self.volume(front, "report") / best for front in fronts])
            for name, fronts in points.items()
            if fronts
        }

    def _ends(self, split: Split) -> tuple[list[float], list[float]]:
        base, aligned = ({"ratios": dict.fromkeys(self._landscape.groups, ratio)} for ratio in (0.0, 1.0))
        return self._scored(base, split), self._scored(aligned, split)

    def _scored(self, row: dict[str, Any], split: Split) -> list[float]:
        return [estimate.value for estimate in self._landscape.scores(row["ratios"], split).objectives.values()]


def _values(row: dict[str, Any]) -> list[float]:
    return [row["reward"], row["tax"]]


def _front(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row, keep in zip(rows, non_dominated([_values(row) for row in rows]), strict=True) if keep]


def _median(curve: NDArray[np.float64], trials: int) -> float:
    return float(np.nanmedian(curve[:, min(trials, curve.shape[1]) - 1]))


def _quartiles(values: NDArray[np.float64]) -> str:
    low, middle, high = 100 * np.nanquantile(values, [0.25, 0.5, 0.75])
    return f"{middle:.1f} [{low:.1f}, {high:.1f}]"


def _reached(curve: NDArray[np.float64], share: float) -> str:
    """Median number of trials to a share; a dash where half of the seeds do not reach it."""
    first = [int(np.argmax(row >= share)) + 1 if (row >= share).any() else np.inf for row in curve]
    median = float(np.median(first))
    return f"{median:.0f}" if np.isfinite(median) else "-"


def tables(results: Results) -> dict[str, Any]:
    """Prints the tables of a problem; returns their numbers."""
    curves = results.curves
    longest = max(curve.shape[1] for curve in curves.values())
    budgets = [budget for budget in BUDGETS if budget <= longest]
    report = results.on_report() if longest >= REPORT_BUDGET else {}
    table = Table(title=f"{results.problem}: hypervolume, % of the best known: median and quartiles over seeds")
    for column in ("contestant", "seeds", *(f"{budget} trials" for budget in budgets)):
        table.add_column(column, justify="right")
    for share in SHARES:
        table.add_column(f"to {share:.0%}", justify="right")
    table.add_column(f"report split, {REPORT_BUDGET}", justify="right")
    numbers: dict[str, Any] = {}
    last = min(budgets, key=lambda budget: abs(budget - REPORT_BUDGET), default=longest)
    for name in sorted(
        curves, key=lambda each: -float(np.nanmedian(curves[each][:, min(last, curves[each].shape[1]) - 1]))
    ):
        curve = curves[name]
        at = {b: curve[:, b - 1] for b in budgets if b <= curve.shape[1]}
        cells = [_quartiles(at[b]) if b in at else "" for b in budgets]
        reached = [_reached(curve, share) for share in SHARES]
        table.add_row(name, str(len(curve)), *cells, *reached, _quartiles(report[name]) if name in report else "")
        numbers[name] = {
            "seeds": len(curve),
            "search": {b: float(np.nanmedian(values)) for b, values in at.items()},
            "worst": {b: float(np.nanmin(values)) for b, values in at.items()},
            "trials_to": dict(zip(map(str, SHARES), reached, strict=True)),
            "report": float(np.median(report[name])) if name in report else None,
        }
    if BEST_KNOWN in report:
        blank = [""] * (len(budgets) + len(SHARES))
        table.add_row(
            f"{BEST_KNOWN}: {len(results.best_known)} of {len(results.rows)} trials",
            "",
            *blank,
            _quartiles(report[BEST_KNOWN]),
        )
    Console(width=160).print(table)
    return numbers


def plot(results: Results, file: Path) -> None:
    """Median and quartiles against trials."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for name, curve in results.curves.items():
        trials = np.arange(1, curve.shape[1] + 1)
        low, middle, high = 100 * np.nanquantile(curve, [0.25, 0.5, 0.75], axis=0)
        (line,) = axes.plot(trials, middle, label=f"{name} ({len(curve)} seeds)", lw=2.5 if name == "ama_ray" else 1.2)
        axes.fill_between(trials, low, high, alpha=0.12, color=line.get_color())
    axes.set(
        xlabel="trials",
        ylabel="hypervolume, % of the best known",
        title=results.problem,
        ylim=(70, 100.5),
        xlim=(2, None),
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="lower right")
    figure.savefig(file, dpi=150)
