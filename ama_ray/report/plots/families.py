"""What every family of probes costs along the front, as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ama_ray.pareto.named_points import knee
from ama_ray.report.plots.panel import COLOURS, GREY
from ama_ray.report.plots.save import save
from ama_ray.scores.families import families, family_tax

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from ama_ray.run import StoredRun
    from ama_ray.scores.trial import Trial

# With the colours, 24 families are told apart.
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def plot_families(run: StoredRun, *paths: Path) -> None:
    """Draws the tax of every family over the reward of the points of the front, with those of aligned.

    With several rewards, it is over the first. Without a front, or without probes, nothing is written.

    Args:
        run: The run.
        paths: The PNG and SVG files to write.
    """
    pareto = run.pareto
    shown = sorted(pareto.front, key=lambda trial: trial.reward)
    known = shown[0].probes.keys() if shown else ()
    by_family = {name: probes for name, probes in families(run.objectives.probes).items() if {*probes} <= {*known}}
    if not by_family:
        return
    # Figure without pyplot: no global state, no display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.6), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    aligned = [trial for name, trial in pareto.trade.ends.items() if name == "aligned"]
    for position, (family, probes) in enumerate(by_family.items()):
        colour, marker = COLOURS[position % len(COLOURS)], _MARKERS[position % len(_MARKERS)]
        style: dict[str, Any] = {"color": colour, "marker": marker}
        _draw(axes, shown, probes, label=family, markersize=5, linewidth=1, zorder=3, **style)
        _draw(axes, aligned, probes, markersize=9, markerfacecolor="white", zorder=2, **style)
    axes.axhline(0, color=GREY, linewidth=1, zorder=1)
    top = knee(pareto)
    if top is not None:
        axes.axvline(top.reward, color=GREY, linewidth=1, linestyle=(0, (4, 4)), zorder=1)
        axes.annotate(
            "knee",
            (top.reward, 1),
            xycoords=("data", "axes fraction"),
            xytext=(-4, -10),
            textcoords="offset points",
            ha="right",
            fontsize=9,
            fontweight="bold",
        )
    axes.set_xlabel(f"{pareto.objectives[0]} of the points of the front     higher is better →")
    axes.set_ylabel("tax of the family: points (0-1)\nlost against base     ← lower is better")
    axes.set_title(f"Tax by family along the front, {pareto.split} split; hollow: aligned", fontsize=11)
    axes.legend(loc="upper left", fontsize=9, framealpha=0.95, title="bars: one standard error", title_fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#EEEEEE", linewidth=0.8)
    axes.set_axisbelow(True)
    save(figure, *paths)


def _draw(axes: Axes, trials: Sequence[Trial], probes: Sequence[str], **style: Any) -> None:
    taxes = [family_tax(trial.scores, probes) for trial in trials if trial.scores]
    axes.errorbar(
        [trial.reward for trial in trials],
        [tax.value for tax in taxes],
        yerr=[tax.se for tax in taxes],
        elinewidth=1,
        ecolor=f"{style['color']}77",
        **style,
    )
