"""How a search went, as a picture: hypervolume against trials."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ama_ray.report.plots.panel import BLUE, GREY, VERMILION
from ama_ray.report.plots.save import save
from ama_ray.scores.interval import Interval

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from ama_ray.analysis.convergence import Step
    from ama_ray.run import StoredRun


def plot_convergence(steps: Sequence[Step], run: StoredRun, *paths: Path) -> None:
    """Draws the hypervolume after every trial, what of it holds on other items, and the uniform front's.

    The view begins a little below the uniform front: what the first trials of a baseline win is of no interest.

    Args:
        steps: Of the search.
        run: The run.
        paths: The PNG and SVG files to write.
    """
    # Figure without pyplot: no global state, no display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.2), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    searched = run.searched_pareto
    if searched.no_trade:
        axes.set_title(f"No hypervolume: {searched.no_trade}", fontsize=11)
    else:
        _draw(axes, steps, run)
    axes.set_xlabel("trials of the search that have ended, stopped and failed ones included")
    axes.set_ylabel("hypervolume (1: the box\nbetween base and aligned)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#EEEEEE", linewidth=0.8)
    axes.set_axisbelow(True)
    save(figure, *paths)


def _draw(axes: Axes, steps: Sequence[Step], run: StoredRun) -> None:
    searched = run.searched_pareto
    trials = [step.trials for step in steps]
    volumes = [step.hypervolume for step in steps]
    axes.step(trials, volumes, where="post", color=BLUE, linewidth=1.6, label="front, as the search saw it", zorder=4)
    intervals = [Interval.normal(step.held_out) for step in steps]
    shown = [volume for volume in volumes if not math.isnan(volume)]
    if any(not math.isnan(interval.value) for interval in intervals):
        low, high = [interval.low for interval in intervals], [interval.high for interval in intervals]
        label = "chosen on one half of the items, scored on the other, with its 95% interval"
        held_out = [interval.value for interval in intervals]
        axes.step(trials, held_out, where="post", color=BLUE, linewidth=1, linestyle="--", label=label, zorder=3)
        axes.fill_between(trials, low, high, step="post", color=BLUE, alpha=0.15, linewidth=0, zorder=2)
        shown += [end for end in high[-1:] if not math.isnan(end)]
    uniform, label = searched.uniform_hypervolume, f"the {len(searched.baseline)} uniform points of the search"
    axes.axhline(uniform, color=VERMILION, linewidth=1.2, linestyle=":", label=label, zorder=3)
    if not math.isnan(run.optimism.value):
        again = searched.hypervolume - run.optimism.value
        label = "points of the front, on the report split"
        axes.plot([trials[-1]], [again], "D", color=GREY, markersize=6, label=label, zorder=5, clip_on=False)
        shown.append(again)
    height = max(*shown, uniform + 0.02) - uniform
    axes.set_ylim(uniform - 0.15 * height, uniform + 1.1 * height)
    axes.set_title(f"Hypervolume {searched.hypervolume:.3f} after {trials[-1]} trials; search split", fontsize=11)
    axes.legend(loc="lower right", fontsize=8, framealpha=0.95)
