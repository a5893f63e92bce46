"""The front as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ama_ray.report.named import knee

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from ama_ray.pareto import ParetoSet
    from ama_ray.trial import Trial

# Okabe and Ito's palette, told apart in every common kind of colour blindness.
_BLUE, _VERMILION, _GREY = "#0072B2", "#D55E00", "#8A8A8A"


def plot_front(pareto: ParetoSet, path: Path) -> None:
    """Draws reward against tax: every trial, the front, the uniform baseline, base, aligned and the knee.

    The view holds the front and the uniform points; the legend counts the trials that lie outside it.

    Args:
        pareto: The run.
        path: The PNG file to write.
    """
    # Figure without pyplot: no global state, no display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5.6), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    _draw_box(axes, pareto)
    _draw_trials(axes, pareto)
    _draw_uniform(axes, pareto)
    _draw_front(axes, pareto)
    axes.set_xlabel("← lower is better     tax: points (0-1) lost on the probes against base, mean over families")
    axes.set_ylabel("reward: mean score of sampled replies     higher is better →")
    axes.set_title(_title(pareto), fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#EEEEEE", linewidth=0.8)
    axes.set_axisbelow(True)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right", fontsize=9, framealpha=0.95, title="bars: one standard error", title_fontsize=8)
    figure.savefig(path, format="png")


def _title(pareto: ParetoSet) -> str:
    if pareto.no_trade:
        return f"No hypervolume: {pareto.no_trade}"
    return f"Hypervolume {pareto.hypervolume:.3f}, uniform averaging {pareto.uniform_hypervolume:.3f} (dashed box = 1)"


def _draw_box(axes: Axes, pareto: ParetoSet) -> None:
    if pareto.no_trade:
        return
    base, aligned = pareto.base, pareto.aligned
    corners_x = (base.tax, aligned.tax, aligned.tax, base.tax, base.tax)
    corners_y = (base.reward, base.reward, aligned.reward, aligned.reward, base.reward)
    axes.plot(corners_x, corners_y, color=_GREY, linewidth=1, linestyle=(0, (4, 4)), zorder=1)


def _draw_trials(axes: Axes, pareto: ParetoSet) -> None:
    """Draws the trials that are neither on the front nor uniform, and sets the view."""
    shown = (*pareto.front, *pareto.uniform)
    if shown:
        axes.set_xlim(*_view([trial.tax for trial in shown], [trial.tax_se for trial in shown]))
        axes.set_ylim(*_view([trial.reward for trial in shown], [trial.reward_se for trial in shown]))
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    others = [trial for trial in pareto.trials if trial.state == "complete" and trial not in shown]
    seen = [trial for trial in others if left <= trial.tax <= right and bottom <= trial.reward <= top]
    if others:
        outside = len(others) - len(seen)
        label = f"other trials ({len(others)}" + (f", {outside} outside the view)" if outside else ")")
        x, y = [trial.tax for trial in seen], [trial.reward for trial in seen]
        axes.scatter(x, y, s=14, color=_GREY, alpha=0.45, linewidths=0, label=label, zorder=2)


def _view(values: Sequence[float], errors: Sequence[float]) -> tuple[float, float]:
    reach = [error if error > 0 else 0.0 for error in errors]
    low = min(value - error for value, error in zip(values, reach, strict=True))
    high = max(value + error for value, error in zip(values, reach, strict=True))
    margin = 0.08 * (high - low) or 0.5
    return low - margin, high + margin


def _draw_uniform(axes: Axes, pareto: ParetoSet) -> None:
    if not pareto.uniform:
        return
    # Larger than the front's points, so that a uniform point on the front shows both.
    label = "uniform averaging, with its ratio"
    _points(axes, pareto.uniform, label, color=_VERMILION, marker="s", markersize=8, zorder=3)
    x, y = [trial.tax for trial in pareto.uniform], [trial.reward for trial in pareto.uniform]
    axes.plot(x, y, color=_VERMILION, linewidth=1, linestyle=":", zorder=3)
    for trial in pareto.uniform:
        ratio = trial.uniform_ratio or 0.0
        name = {0.0: "base (0)", 1.0: "aligned (1)"}.get(ratio, f"{ratio:g}")
        axes.annotate(
            name,
            (trial.tax, trial.reward),
            xytext=(0, -17) if ratio == 1.0 else (6, -13),
            textcoords="offset points",
            ha="center" if ratio == 1.0 else "left",
            color=_VERMILION,
            fontsize=8,
            fontweight="bold" if ratio in (0.0, 1.0) else "normal",
            zorder=6,
        )


def _draw_front(axes: Axes, pareto: ParetoSet) -> None:
    if not pareto.front:
        return
    x, y = [trial.tax for trial in pareto.front], [trial.reward for trial in pareto.front]
    # A staircase, as what the front dominates ends there and not on a line between its points.
    axes.step(x, y, where="post", color=_BLUE, linewidth=1.4, zorder=4)
    label = f"front ({len(pareto.front)} of {len(pareto.trials)} trials)"
    _points(axes, pareto.front, label, color=_BLUE, marker="o", markersize=5, zorder=5)
    top = knee(pareto)
    if top is not None:
        axes.scatter([top.tax], [top.reward], s=240, marker="*", color=_BLUE, edgecolors="black", zorder=7)
        low, high = axes.get_xlim()
        at_edge = top.tax < low + 0.2 * (high - low)
        axes.annotate(
            f"knee: trial {top.number}",
            (top.tax, top.reward),
            xytext=(10, -16) if at_edge else (-10, 10),
            textcoords="offset points",
            ha="left" if at_edge else "right",
            fontweight="bold",
            fontsize=9,
            zorder=7,
        )


def _points(axes: Axes, trials: Sequence[Trial], label: str, **style: Any) -> None:
    axes.errorbar(
        [trial.tax for trial in trials],
        [trial.reward for trial in trials],
        xerr=[trial.tax_se for trial in trials],
        yerr=[trial.reward_se for trial in trials],
        linestyle="none",
        ecolor=f"{style['color']}77",
        elinewidth=1,
        label=label,
        **style,
    )
