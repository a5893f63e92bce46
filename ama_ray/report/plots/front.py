"""The front as a picture."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, BinaryIO

from ama_ray.report.notes import conditions, front_volume, uniform_volume, used_test_data
from ama_ray.report.plots.panel import Panel
from ama_ray.report.plots.save import save
from ama_ray.scores.tokens import minimised

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from ama_ray.run import StoredRun

_PANEL_INCHES = 3.7
_TITLE_COLUMNS = 85
_LEGEND: dict[str, Any] = {"fontsize": 9, "framealpha": 0.95, "title": "bars: one standard error", "title_fontsize": 8}


def plot_front(run: StoredRun, *paths: Path | BinaryIO) -> None:
    """Writes the picture of a front.

    Args:
        run: The run.
        paths: The PNG and SVG files to write, or open PNG ones.
    """
    save(front_figure(run), *paths)


def front_figure(run: StoredRun) -> Figure:
    """Draws reward against tax: every trial, the front, the uniform baseline, base, aligned and the knee.

    With more than two objectives, there is a panel for every pair of them. The view holds the front and the uniform
    points; the legend counts the trials that lie outside it. Of points of the report split, rings show where the
    search saw them.
    """
    # Figure without pyplot: no global state, no display.
    from matplotlib.figure import Figure

    pareto = run.pareto
    two = len(pareto.objectives) == 2
    side = _PANEL_INCHES * (len(pareto.objectives) - 1)
    figure = Figure(figsize=(8, 5.6) if two else (side, side), dpi=150, layout="constrained")
    _draw_pair(figure, run) if two else _draw_matrix(figure, run)
    return figure


def _draw_pair(figure: Figure, run: StoredRun) -> None:
    pareto = run.pareto
    axes = figure.add_subplot()
    (reward, tax) = pareto.objectives
    Panel(axes, pareto, tax, reward, run.claims.groups).draw()
    axes.set_xlabel("← lower is better     tax: points (0-1) lost on the probes against base, mean over families")
    axes.set_ylabel(f"{reward}: mean score of sampled replies     higher is better →")
    axes.set_title(_title(run), fontsize=11)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right", **_LEGEND)


def _draw_matrix(figure: Figure, run: StoredRun) -> None:
    """One panel per pair of objectives, tax in the first column, the legend in the empty corner."""
    pareto = run.pareto
    across = ("tax", *pareto.objectives[:-2])
    up = pareto.objectives[:-1]
    count = len(up)
    for row in range(count):
        for column in range(row + 1):
            axes = figure.add_subplot(count, count, row * count + column + 1)
            Panel(axes, pareto, across[column], up[row], run.claims.groups).draw()
            axes.set_xlabel(f"{across[column]}, {_better(across[column])} is better")
            axes.set_ylabel(f"{up[row]}, {_better(up[row])} is better")
    corner = figure.add_subplot(count, count, count)
    corner.axis("off")
    corner.legend(*axes.get_legend_handles_labels(), loc="center", **_LEGEND)
    figure.suptitle(_title(run), fontsize=11)


def _better(name: str) -> str:
    return "lower" if minimised(name) else "higher"


def _title(run: StoredRun) -> str:
    pareto = run.pareto
    front, baseline = front_volume(run), uniform_volume(run)
    volumes = f"Hypervolume {front}, uniform averaging {baseline} (dashed box = 1); {pareto.split} split"
    title = f"No hypervolume: {pareto.no_trade}; {pareto.split} split" if pareto.no_trade else volumes
    title = textwrap.fill(title, _TITLE_COLUMNS)
    asked = textwrap.fill(conditions(pareto), _TITLE_COLUMNS)
    return "\n".join(line for line in (used_test_data(run), title, asked) if line)
