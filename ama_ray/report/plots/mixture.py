"""The shares of several aligned models over depth, at the points of a run that have a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ama_ray.pareto.named_points import best_uniform, knee
from ama_ray.report.plots.panel import GREY
from ama_ray.report.plots.save import save
from ama_ray.space.groups import group_and_model, number_name

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from ama_ray.run import StoredRun
    from ama_ray.scores.trial import Trial


def plot_mixture(run: StoredRun, *paths: Path) -> None:
    """Draws a panel for the knee and one for the best point of the baseline beside it: stacked shares of every group.

    Groups go from the input side at the left to the output side; what is above the stack is base. Nothing is drawn
    where there is one aligned model, or no knee.

    Args:
        run: The run.
        paths: The PNG and SVG files to write.
    """
    top = knee(run.pareto)
    if len(run.config.models) == 1 or top is None:
        return
    # Figure without pyplot: no global state, no display.
    from matplotlib.figure import Figure

    beside = best_uniform(run.pareto)
    shown = {f"knee, trial {top.number}": top}
    if beside is not None and beside.number != top.number:
        shown[f"best of the baseline at no more tax: {beside.title}"] = beside
    figure = Figure(figsize=(8, 1.2 + 2.4 * len(shown)), dpi=150, layout="constrained")
    panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (title, trial) in zip(panels, shown.items(), strict=True):
        _draw(axes, trial, run.config.models)
        axes.set_title(title, fontsize=10)
    panels[0].legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8, frameon=False)
    panels[-1].set_xlabel("← input side     groups     output side →", fontsize=9)
    save(figure, *paths)


def _draw(axes: Axes, trial: Trial, models: tuple[str, ...]) -> None:
    groups = list(dict.fromkeys(group_and_model(number)[0] for number in trial.ratios))
    below = [0.0] * len(groups)
    for model in models:
        shares = [trial.ratios.get(number_name(group, model), 0.0) for group in groups]
        axes.bar(range(len(groups)), shares, 0.9, bottom=below, label=model)
        below = [low + share for low, share in zip(below, shares, strict=True)]
    axes.axhline(1, color=GREY, linewidth=1)
    axes.set_ylim(0, max(1.0, *below) * 1.02)
    axes.set_ylabel("share of aligned", fontsize=9)
    axes.set_xticks(range(len(groups)), groups, rotation=90, fontsize=7)
    axes.spines[["top", "right"]].set_visible(False)
