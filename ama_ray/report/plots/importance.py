"""Which groups matter for which objective, as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ama_ray.report.plots.panel import BLUE, GREY
from ama_ray.report.plots.save import save
from ama_ray.scores.tokens import minimised

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from ama_ray.analysis.importance import Importance

_WIDEST = 120
"""Groups whose names can be read in a figure of a page's height; of more, every second, third, ... has its name."""


def plot_importance(found: Sequence[Importance], groups: Sequence[str], *paths: Path) -> None:
    """Draws a panel per objective: what every group does to it, with its 95% credible interval.

    Groups go from the input side at the top to the output side.

    Args:
        found: What `ama_ray.analysis.importance` found; at least one objective.
        groups: Their names, in the order of the search space.
        paths: The PNG and SVG files to write.
    """
    # Figure without pyplot: no global state, no display.
    from matplotlib.figure import Figure

    height = 1.9 + 0.19 * min(len(groups), _WIDEST)
    figure = Figure(figsize=(1.2 + 3.4 * len(found), height), dpi=150, layout="constrained")
    panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for axes, each in zip(panels, found, strict=True):
        _draw(axes, each)
    first = panels[0]
    step = -(-len(groups) // _WIDEST)
    first.set_yticks(range(0, len(groups), step), groups[::step], fontsize=8)
    first.set_ylim(len(groups) - 0.4, -0.6)
    first.set_ylabel("← output side     groups     input side →", fontsize=9)
    trials = found[0].trials
    figure.suptitle(
        f"What a group does: it at aligned minus it at base, others as they are; {trials} trials", fontsize=10
    )
    figure.supxlabel(
        "bars: 95% credible interval of an additive surface over the trials of the search; grey: it holds 0", fontsize=8
    )
    save(figure, *paths)


def _draw(axes: Axes, each: Importance) -> None:
    rows = range(len(each.groups))
    values = [effect.value for effect in each.groups]
    axes.axvline(0, color=GREY, linewidth=1, zorder=1)
    for row, effect in zip(rows, each.groups, strict=True):
        # Blue where the interval leaves 0 out, so that what stands out is what is known.
        colour = BLUE if effect.significant else GREY
        axes.plot([effect.low, effect.high], [row, row], color=colour, linewidth=1.6, zorder=2)
    colours = [BLUE if effect.significant else GREY for effect in each.groups]
    axes.scatter(values, list(rows), s=22, c=colours, zorder=3)
    axes.set_title(f"{each.objective}   (R² {each.r2:.2f} of trials left out)", fontsize=9)
    better = "lower" if minimised(each.objective) else "higher"
    axes.set_xlabel(f"change of {each.objective}, {better} is better", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="#EEEEEE", linewidth=0.8)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_axisbelow(True)
