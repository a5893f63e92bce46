"""The picture: reward against tax of models, lines and fronts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from benchmarks.neighbours.plane import value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from benchmarks.neighbours.plane import Point


def draw(lines: Mapping[str, Sequence[Point]], fronts: Mapping[str, Sequence[Point]], file: Path) -> None:
    """Draws a panel with all taxes and one with small ones, on the report split, with standard errors."""
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    for axes, limit in zip(figure.subplots(1, 2, sharey=True), (None, 0.1), strict=True):
        for i, name in enumerate(lines):
            color = f"C{i}"
            axes.plot(*_places(lines[name]), "--", color=color, linewidth=1, alpha=0.6)
            _bars(axes, fronts[name], color=color, marker="o", markersize=4, linestyle="none")
            _bars(axes, lines[name][-1:], color=color, marker="*", markersize=13, linestyle="none", label=name)
        axes.set_xlabel("tax (share of the probes' scores)")
        axes.grid(alpha=0.3)
        if limit:
            axes.set_xlim(-0.01, limit)
        else:
            axes.set_ylabel("reward")
            axes.legend(loc="lower right", fontsize="small")
    figure.suptitle("Stars: models alone. Dashed: uniform averaging with base. Dots: fronts of searches. Report split.")
    figure.savefig(file, dpi=110)


def _places(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [value(p.report, "tax") for p in points], [value(p.report, "reward") for p in points]


def _bars(axes: object, points: Sequence[Point], **style: object) -> None:
    taxes, rewards = _places(points)
    errors = [[p.report.objectives[name].se for p in points] for name in ("tax", "reward")]
    axes.errorbar(taxes, rewards, xerr=errors[0], yerr=errors[1], elinewidth=0.8, **style)  # type: ignore[attr-defined]
