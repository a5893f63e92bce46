"""One pair of objectives as a picture: all trials, the front, the uniform points, base, aligned and the knee."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ama_ray.pareto.named_points import knee

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from ama_ray.pareto.pareto_set import ParetoSet
    from ama_ray.scores.trial import Trial

# Okabe and Ito's palette, told apart in every common kind of colour blindness.
BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#8A8A8A"
COLOURS = (BLUE, VERMILION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


@dataclass(frozen=True)
class Panel:
    """Draws a run in two of its objectives.

    Attributes:
        axes: Where to draw.
        pareto: The run.
        across: The objective on the horizontal axis.
        up: The one on the vertical axis.
        groups: Points of the front that do not differ beyond error, by number.
    """

    axes: Axes
    pareto: ParetoSet
    across: str
    up: str
    groups: Sequence[Sequence[int]] = ()

    def draw(self) -> None:
        """Draws everything but titles and labels, and sets the view: it holds the front and the uniform points."""
        self._box()
        self._others()
        self._uniform()
        self._front()
        self.axes.spines[["top", "right"]].set_visible(False)
        self.axes.grid(color="#EEEEEE", linewidth=0.8)
        self.axes.set_axisbelow(True)

    def _x(self, trials: Sequence[Trial]) -> list[float]:
        return [trial.objectives[self.across].value for trial in trials]

    def _y(self, trials: Sequence[Trial]) -> list[float]:
        return [trial.objectives[self.up].value for trial in trials]

    def _errors(self, trials: Sequence[Trial], objective: str) -> list[float]:
        return [trial.objectives[objective].se for trial in trials]

    def _box(self) -> None:
        if self.pareto.no_trade:
            return
        (left, right), (bottom, top) = (
            values((self.pareto.base, self.pareto.aligned)) for values in (self._x, self._y)
        )
        corners = (left, right, right, left, left), (bottom, bottom, top, top, bottom)
        self.axes.plot(*corners, color=GREY, linewidth=1, linestyle=(0, (4, 4)), zorder=1)

    def _others(self) -> None:
        """Draws the trials that are neither on the front nor uniform, and sets the view."""
        shown = (*self.pareto.front, *self.pareto.baseline)
        if shown:
            self.axes.set_xlim(*_view(self._x(shown), self._errors(shown, self.across)))
            self.axes.set_ylim(*_view(self._y(shown), self._errors(shown, self.up)))
        (left, right), (bottom, top) = self.axes.get_xlim(), self.axes.get_ylim()
        numbers = {trial.number for trial in shown}
        others = [trial for trial in self.pareto.scored if trial.number not in numbers]
        places = zip(self._x(others), self._y(others), strict=True)
        seen = [(x, y) for x, y in places if left <= x <= right and bottom <= y <= top]
        if others:
            outside = len(others) - len(seen)
            label = f"other trials ({len(others)}" + (f", {outside} outside the view)" if outside else ")")
            style: dict[str, Any] = {"s": 14, "color": GREY, "alpha": 0.45, "linewidths": 0, "zorder": 2}
            self.axes.scatter([x for x, _ in seen], [y for _, y in seen], label=label, **style)

    def _uniform(self) -> None:
        trials = self.pareto.uniform
        if not trials:
            return
        # Larger than the front's points, so that a uniform point on the front shows both.
        self._points(trials, "uniform averaging, with its ratio", color=VERMILION, marker="s", markersize=8, zorder=3)
        self.axes.plot(self._x(trials), self._y(trials), color=VERMILION, linewidth=1, linestyle=":", zorder=3)
        self._of_several()
        end = "aligned (1)" if trials[0].models == 1 else "equal average (1)"
        for trial, x, y in zip(trials, self._x(trials), self._y(trials), strict=True):
            ratio = trial.uniform_ratio or 0.0
            self.axes.annotate(
                {0.0: "base (0)", 1.0: end}.get(ratio, f"{ratio:g}"),
                (x, y),
                xytext=(0, -17) if ratio == 1.0 else (6, -13),
                textcoords="offset points",
                ha="center" if ratio == 1.0 else "left",
                color=VERMILION,
                fontsize=8,
                fontweight="bold" if ratio in (0.0, 1.0) else "normal",
                zorder=6,
            )

    def _of_several(self) -> None:
        """Draws the rest of the baseline, as there is with several aligned models."""
        others = [trial for trial in self.pareto.baseline if trial.uniform_ratio is None]
        ways = [trial for trial in others if len(trial.mixed) == 1 and not trial.alone]
        named = [trial for trial in others if trial not in ways]
        if ways:
            label = "from base to the best model alone"
            self._points(ways, label, color=VERMILION, marker="D", markersize=4, zorder=3)
        if named:
            self._points(named, "aligned models alone, soups", color=VERMILION, marker="D", markersize=7, zorder=3)
        style: dict[str, Any] = {"xytext": (6, -13), "textcoords": "offset points", "color": VERMILION, "fontsize": 8}
        for trial, x, y in zip(named, self._x(named), self._y(named), strict=True):
            self.axes.annotate(trial.title, (x, y), zorder=6, **style)

    def _front(self) -> None:
        trials = self.pareto.front
        if not trials:
            return
        if len(self.pareto.objectives) == 2:
            # A staircase, as what the front dominates ends there and not on a line between its points. The shadow of
            # a front in more dimensions is none.
            stairs = self._x(self.pareto.unbeaten), self._y(self.pareto.unbeaten)
            self.axes.step(*stairs, where="post", color=BLUE, linewidth=1.4, zorder=4)
        self._bands(trials)
        self._shifts(trials)
        label = f"front ({len(trials)} of {len(self.pareto.trials)} trials)"
        self._points(trials, label, color=BLUE, marker="o", markersize=5, zorder=5)
        top = knee(self.pareto)
        if top is not None:
            self._knee(top)

    def _bands(self, trials: Sequence[Trial]) -> None:
        """Draws a band behind the points of every group."""
        label = "points that do not differ beyond error"
        for members in self.groups:
            group = [trial for trial in trials if trial.number in members]
            if len(group) > 1:
                style: dict[str, Any] = {"linewidth": 13, "solid_capstyle": "round", "solid_joinstyle": "round"}
                self.axes.plot(self._x(group), self._y(group), color=BLUE, alpha=0.15, zorder=1.5, label=label, **style)
                label = "_nolegend_"

    def _shifts(self, trials: Sequence[Trial]) -> None:
        """Draws where the search saw the points of a front that the report split moved."""
        moved = [trial for trial in trials if trial.search] if self.pareto.split == "report" else []
        before = [trial.seen_on("search") for trial in moved]
        for line in zip(self._x(before), self._x(moved), self._y(before), self._y(moved), strict=True):
            self.axes.plot(line[:2], line[2:], color=BLUE, alpha=0.3, linewidth=0.8, zorder=2)
        if moved:
            ring: dict[str, Any] = {"s": 16, "facecolors": "none", "edgecolors": BLUE, "alpha": 0.45, "zorder": 2}
            self.axes.scatter(self._x(before), self._y(before), label="front, as the search saw it", **ring)

    def _knee(self, trial: Trial) -> None:
        (x,), (y,) = self._x([trial]), self._y([trial])
        self.axes.scatter([x], [y], s=240, marker="*", color=BLUE, edgecolors="black", zorder=7)
        low, high = self.axes.get_xlim()
        at_edge = x < low + 0.2 * (high - low)
        self.axes.annotate(
            f"knee: trial {trial.number}" if len(self.pareto.objectives) == 2 else "knee",
            (x, y),
            xytext=(10, -16) if at_edge else (-10, 10),
            textcoords="offset points",
            ha="left" if at_edge else "right",
            fontweight="bold",
            fontsize=9,
            zorder=7,
        )

    def _points(self, trials: Sequence[Trial], label: str, **style: Any) -> None:
        self.axes.errorbar(
            self._x(trials),
            self._y(trials),
            xerr=self._errors(trials, self.across),
            yerr=self._errors(trials, self.up),
            linestyle="none",
            ecolor=f"{style['color']}77",
            elinewidth=1,
            label=label,
            **style,
        )


def _view(values: Sequence[float], errors: Sequence[float]) -> tuple[float, float]:
    """The ends of an axis that holds values with their errors; an infinite one, as of a perplexity, lies outside."""
    reach = [error if error > 0 else 0.0 for error in errors]
    lows = [value - error for value, error in zip(values, reach, strict=True)]
    highs = [value + error for value, error in zip(values, reach, strict=True)]
    low = min(filter(math.isfinite, lows), default=0.0)
    high = max(filter(math.isfinite, highs), default=0.0)
    margin = 0.08 * (high - low) or 0.5
    return low - margin, high + margin
