"""The paper's table in the terminal, as LaTeX and as CSV."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from ama_ray.report.formatting import decimals, with_interval
from ama_ray.report.json_fields import value_or_null
from ama_ray.report.text.latex import tabular

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ama_ray.report.paper_table import Block, Measure, PaperTable
    from ama_ray.scores.interval import Interval

LEGEND = (
    "In brackets: 95% intervals: of a reward Student's, of shares of right answers Wilson's, else 1.96 standard errors "
    "to both sides. Families: mean score of their probes, in points of 100 where the metric is from 0 to 1. tax: "
    "points (0-1) lost on the probes against base, mean over families. Differences: pick minus the other one, with the "
    "95% interval of the paired bootstrap over items; *: 0 lies outside (each by itself, not corrected for how many "
    "are looked at, nor for a pick that was chosen by these numbers)."
)
_COLUMNS = ("row", "trial", "mean_ratio", "against", "against_trial", "measure", "value", "low", "high", "significant")


class _Grid:
    """Texts in rows and columns, under a title; the first column labels the rows."""

    def __init__(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        self.title, self.columns, self.rows = title, columns, rows

    @classmethod
    def of_values(cls, table: PaperTable) -> _Grid:
        shown = [
            [end for row in table.rows for end in vars(row.values[i]).values()] for i in range(len(table.measures))
        ]
        places = [decimals(each) for each in shown]
        rows = [
            [f"{row.label} (#{row.trial.number})", *(_value(v, p) for v, p in zip(row.values, places, strict=True))]
            for row in table.rows
        ]
        return cls("", ["", *map(_heading, table.measures)], rows)

    @classmethod
    def of_differences(cls, table: PaperTable, block: Block) -> _Grid:
        """Measures as rows, as there are at most three rivals, and a difference with its interval is wide."""
        places = [decimals(row.values[i].value for row in table.rows) for i in range(len(table.measures))]
        rows = [
            [_heading(measure), *(_difference(rival.values[i], places[i]) for rival in block.against)]
            for i, measure in enumerate(table.measures)
        ]
        title = f"{block.label} (#{block.trial.number}, mean ratio {block.trial.mean_ratio:.3g}) minus"
        return cls(title, ["", *(f"{rival.label} (#{rival.trial.number})" for rival in block.against)], rows)

    def parts(self, width: int) -> Iterator[Table]:
        """Tables that fit: as many columns side by side as there is room for, and the rest below."""
        widths = [max(len(text) for text in column) for column in zip(self.columns, *self.rows, strict=True)]
        start = 1
        while start < len(widths):
            end = start + 1
            while end < len(widths) and widths[0] + sum(2 + each for each in widths[start : end + 1]) <= width:
                end += 1
            table = Table(
                title=self.title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False
            )
            for i in (0, *range(start, end)):
                table.add_column(self.columns[i], justify="right" if i else "left", no_wrap=True)
            for row in self.rows:
                table.add_row(row[0], *row[start:end])
            yield table
            start = end

    def latex(self) -> str:
        """A tabular of the booktabs package."""
        head = f"% {self.title}\n" if self.title else ""
        return head + tabular(self.columns, self.rows)


def to_terminal(table: PaperTable, width: int) -> list[Table]:
    """Tables of at most so many columns of text: the values, then a table per pick with its differences."""
    grids = [_Grid.of_values(table), *(_Grid.of_differences(table, block) for block in table.blocks)]
    return [part for grid in grids for part in grid.parts(width)]


def to_latex(table: PaperTable) -> str:
    """The same as LaTeX, for the booktabs package; notes and legend are comments."""
    grids = [_Grid.of_values(table), *(_Grid.of_differences(table, block) for block in table.blocks)]
    return "\n\n".join(["\n".join(f"% {note}" for note in (*table.notes, LEGEND)), *(grid.latex() for grid in grids)])


def write_csv(table: PaperTable, path: Path) -> None:
    """One line per number: of a row, or of a pick minus the model it is `against`.

    Args:
        table: The table.
        path: The file to write.

    Raises:
        OSError: It cannot be written.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        writer.writerows(["" if each is None else each for each in line] for line in _lines(table))


def fields(table: PaperTable) -> dict[str, Any]:
    """The same for JSON: its notes, and a row for every number, with the columns of the CSV file."""
    numbers = [
        {
            name: value_or_null(each) if isinstance(each, float) else each
            for name, each in zip(_COLUMNS, line, strict=True)
        }
        for line in _lines(table)
    ]
    return {"notes": list(table.notes), "numbers": numbers}


def _lines(table: PaperTable) -> Iterator[tuple[Any, ...]]:
    """A line for every number, with `_COLUMNS`; None where a column does not apply."""
    for row in table.rows:
        pick = (row.label, row.trial.number, row.trial.mean_ratio, None, None)
        for measure, each in zip(table.measures, row.values, strict=True):
            yield (*pick, measure.name, each.value, each.low, each.high, None)
    for block in table.blocks:
        for row in block.against:
            pair = (block.label, block.trial.number, block.trial.mean_ratio, row.label, row.trial.number)
            for measure, each in zip(table.measures, row.values, strict=True):
                yield (*pair, measure.name, each.value, each.low, each.high, each.significant)


def _heading(measure: Measure) -> str:
    arrows = {True: " ↑", False: " ↓", None: ""}
    return measure.name + arrows[measure.higher_is_better]


def _value(interval: Interval, places: int) -> str:
    return with_interval(interval, f"z.{places}f")


def _difference(interval: Interval, places: int) -> str:
    star = "*" if interval.significant else " "
    return f"{interval.value:+z.{places}f} [{interval.low:z.{places}f}, {interval.high:z.{places}f}]{star}"
