"""Several runs on one plane: their hypervolumes in the box of the first, and a figure."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from rich import box
from rich.table import Table

from ama_ray.errors import UserError
from ama_ray.pareto.hypervolume import hypervolume
from ama_ray.pareto.named_points import knee
from ama_ray.report.formatting import PLUS_MINUS, decimals, plus_minus
from ama_ray.report.json_fields import trial_fields, value_or_null
from ama_ray.report.plots.panel import COLOURS
from ama_ray.run import StoredRun
from ama_ray.scores.tokens import box as corners
from ama_ray.scores.tokens import turned
from ama_ray.storage.identity import PAIR, checksums, read_identity
from ama_ray.storage.names import IDENTITY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.pareto.pareto_set import ParetoSet
    from ama_ray.scores.trial import Trial


@dataclass(frozen=True)
class RunComparison:
    """Runs whose scores are on the same scale.

    Attributes:
        runs: By the name of the folder, on one split: the report split, or the search split where one of the runs has
            no report.
        searched: By the name of the folder: how many trials the search of the run had.
        notes: What to know before reading them, a sentence each.
    """

    runs: dict[str, ParetoSet]
    searched: dict[str, int]
    notes: tuple[str, ...]

    @classmethod
    def open(cls, folders: Sequence[Path]) -> Self:
        """Reads the folders of runs.

        Raises:
            UserError: They have other prompts, items, scorers or objectives, there is only one, or the first has
                nothing to trade, and so no box.
        """
        if len(folders) < 2:
            raise UserError("compare: give the folders of two or more runs.")
        first, *others = folders
        notes = [note for other in others for note in _difference(first, other)]
        runs = dict(zip(_names(folders), map(StoredRun.open, folders), strict=True))
        opened = {name: run.pareto for name, run in runs.items()}
        pareto = next(iter(opened.values()))
        if pareto.no_trade:
            raise UserError(f"{first}: there is no box to compare in, as {pareto.no_trade}.")
        for name, other in opened.items():
            if other.objectives != pareto.objectives:
                raise UserError(
                    f"{name}: its objectives are {', '.join(other.objectives)}, and those of {first} are "
                    f"{', '.join(pareto.objectives)}; runs with the same objectives can be compared."
                )
        if len({each.split for each in opened.values()}) > 1:
            notes.append("Not every run has its report, so all numbers are from the search split.")
            opened = {name: run.searched_pareto for name, run in runs.items()}
        return cls(opened, {name: len(run.searched) for name, run in runs.items()}, tuple(notes))

    def hypervolume(self, trials: Sequence[Trial]) -> float:
        """Of trials of any of the runs, in the box of the first, from its reference point on."""
        first = next(iter(self.runs.values()))
        names, shown = first.objectives, (first.base, first.aligned, *trials)
        base, aligned, *points = turned(names, [[trial.objectives[n].value for n in names] for trial in shown])
        return hypervolume(points, *corners(names, base, aligned), turned(names, [*first.reference.values()]))

    def table(self) -> Table:
        """A row per run: its trials, hypervolumes and knee."""
        objectives = next(iter(self.runs.values())).objectives
        table = Table(
            title=f"Runs compared on the {next(iter(self.runs.values())).split} split",
            caption="Hypervolume: every run in the box between base and aligned of the first (that box is 1), from its "
            f"reference point on. {PLUS_MINUS}",
            caption_justify="left",
            box=box.SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
            show_edge=False,
        )
        table.add_column("run", overflow="fold")
        for name in (
            "trials",
            "on\nfront",
            "hyper-\nvolume",
            "uniform\nonly",
            *(f"knee:\n{name}" for name in objectives),
        ):
            table.add_column(name, justify="right", no_wrap=True)
        shown = [trial for pareto in self.runs.values() for trial in (*pareto.front, *pareto.uniform)]
        places = {name: decimals(trial.objectives[name].value for trial in shown) for name in objectives}
        for name, pareto in self.runs.items():
            top = knee(pareto)
            scores = top.objectives.items() if top else ()
            table.add_row(
                name,
                str(self.searched[name]),
                str(len(pareto.front)),
                f"{self.hypervolume(pareto.front):.3f}",
                f"{self.hypervolume(pareto.uniform_front):.3f}",
                *(plus_minus(each.value, each.se, places[objective]) for objective, each in scores),
            )
        return table

    def fields(self) -> dict[str, Any]:
        """The same as plain values for JSON."""
        runs = {
            name: {
                "trials": self.searched[name],
                "on_front": len(pareto.front),
                "hypervolume": value_or_null(self.hypervolume(pareto.front)),
                "uniform_hypervolume": value_or_null(self.hypervolume(pareto.uniform_front)),
                "knee": trial_fields(top) if (top := knee(pareto)) else None,
            }
            for name, pareto in self.runs.items()
        }
        return {"split": next(iter(self.runs.values())).split, "notes": list(self.notes), "runs": runs}

    def plot(self, path: Path) -> None:
        """Draws the fronts and the baselines of all runs; of several rewards, the first.

        Args:
            path: The file to write; its suffix says what: `.png`, `.svg` or `.pdf`.

        Raises:
            UserError: The suffix is another, or the file cannot be written.
        """
        if path.suffix not in (".png", ".svg", ".pdf"):
            raise UserError(f"{path}: a figure is written as .png, .svg or .pdf.")
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8, 5.6), dpi=150, layout="constrained")
        axes = figure.add_subplot()
        reward = next(iter(self.runs.values())).objectives[0]
        for position, (name, pareto) in enumerate(self.runs.items()):
            colour = COLOURS[position % len(COLOURS)]
            label = f"{name}: hypervolume {self.hypervolume(pareto.front):.3f}"
            axes.plot(*_places(pareto.front, reward), "o", color=colour, markersize=5, label=label, zorder=3)
            if len(pareto.objectives) == 2:
                axes.step(*_places(pareto.unbeaten, reward), where="post", color=colour, linewidth=1.4, zorder=3)
            axes.plot(*_places(pareto.uniform, reward), ":", color=colour, alpha=0.4, zorder=2)
            axes.plot(*_places(pareto.baseline, reward), "s", color=colour, alpha=0.4, markersize=6, zorder=2)
        several = any(trial.models > 1 for pareto in self.runs.values() for trial in pareto.baseline)
        squares = "uniform averaging, models alone, soups" if several else "uniform averaging"
        axes.set_xlabel("← lower is better     tax: points (0-1) lost on the probes against base, mean over families")
        axes.set_ylabel(f"{reward}: mean score of sampled replies     higher is better →")
        axes.set_title(f"{next(iter(self.runs.values())).split} split; faint squares: {squares}", fontsize=11)
        axes.legend(loc="lower right", fontsize=9, framealpha=0.95)
        axes.grid(color="#EEEEEE", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        try:
            figure.savefig(path)
        except OSError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror}).") from None


def _places(trials: Sequence[Trial], reward: str) -> tuple[list[float], list[float]]:
    return [trial.tax for trial in trials], [trial.objectives[reward].value for trial in trials]


def _names(folders: Sequence[Path]) -> list[str]:
    """The paths without the folders that all of them are in."""
    paths = [Path(os.path.normpath(folder.absolute())) for folder in folders]
    common = os.path.commonpath([path.parent for path in paths])
    return [str(path.relative_to(common)) for path in paths]


def _difference(first: Path, other: Path) -> list[str]:
    """What makes scores of two runs less than comparable, as notes; refuses where nothing can be compared."""
    one, two = _identity(first), _identity(other)
    different = [name for name in sorted(one.keys() | two.keys()) if one.get(name) != two.get(name)]
    if items := [name for name in different if name != PAIR]:
        raise UserError(
            f"{first} and {other} cannot be compared, as these differ: {', '.join(items)}; compare runs that were "
            "scored on the same items."
        )
    if different:
        return [f"{other} is of another pair than {first}: its tax is against its own base."]
    return []


def _identity(run: Path) -> dict[str, object]:
    """The checksums of a run; those of scorers together, as the same file may lie elsewhere."""
    try:
        known = checksums(read_identity(run))
        named = {name: digest for name, digest in known.items() if not name.startswith("/")}
        return named | {"the scorers": sorted(digest for name, digest in known.items() if name.startswith("/"))}
    except FileNotFoundError:
        raise UserError(f"{run}: not the folder of a run, as it has no {IDENTITY}.") from None
