"""What the items of a run can show, as tables for the terminal: before anything runs, and from base and aligned."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from ama_ray.analysis.trade_test import DISAGREEING, SIZES, expected
from ama_ray.report.text.trade import cost, count, number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ama_ray.analysis.precision import Precision
    from ama_ray.analysis.trade_test import PairedDifference, TradeTest
    from ama_ray.scores.objectives import Objectives

DEVIATIONS = (0.1, 0.2, 0.5)
"""Gains in reward whose numbers of prompts are told before anything runs, in standard deviations."""
_FOUND = "Found: with a probability of 80%, by a two-sided test at 5%."
_ASKED = (
    "Items: prompts for a reward; for the tax the sum over the probes, each with so many times its items. Tokens: "
    "those read, and at most those generated, for these prompts or items alone, by base or aligned; of many, the other "
    "trials of the search see about a third."
)
_UNKNOWN = "not known yet"


@dataclass(frozen=True)
class _Row:
    """A reward objective, the tax or a probe.

    Attributes:
        name: As it is shown.
        precision: With the items there are.
        sizes: Differences whose numbers of items are told, by how they are written; none of a probe by itself.
        unit: Behind the smallest difference that is found.
        difference: What was measured, where it was.
    """

    name: str
    precision: Precision
    sizes: dict[str, float]
    unit: str = ""
    difference: PairedDifference | None = None


def before(objectives: Objectives, sizes: Mapping[str, int], tokens: Mapping[str, float]) -> Iterator[Table | str]:
    """The tables of a run file with what to know of them, from its numbers of prompts and items alone.

    Args:
        objectives: What the objectives are made of.
        sizes: How many prompts or items there are, by name of the reward or probe.
        tokens: How many tokens one takes at most, likewise.
    """
    rewards = objectives.reward_names
    rows = []
    for name, precision in expected(objectives, sizes).items():
        if name in rewards:
            rows.append(_Row(name, precision, {f"{each:g} sd": each for each in DEVIATIONS}, " sd"))
        else:
            rows.append(_Row(name, precision, {f"{each:g}": each for each in SIZES} if name == "tax" else {}))
    if not rows:  # commands alone, whose items nobody has counted yet
        return
    yield _shown(rows, "What these items can show")
    yield (
        "sd: standard deviations of what base and aligned differ by in the reward of a prompt. The taxes are guesses: "
        f"base and aligned are taken to answer one item in {1 / DISAGREEING:.0f} differently. {_FOUND}"
    )
    yield _asked(rows, tokens)
    yield _ASKED


def after(test: TradeTest, split: str, tokens: Mapping[str, float]) -> Iterator[Table | str]:
    """The tables of a run with what to know of them, from the items of base and aligned.

    Args:
        test: Of base against aligned.
        split: Whose items.
        tokens: How many tokens a prompt or item of this split takes at most, by name of the reward or probe.
    """
    rows = []
    for part in (*test.parts, *test.probes):
        sizes = {
            _written(part, key, size): size for key, size in part.sizes.items() if size > 0 and part not in test.probes
        }
        rows.append(_Row(part.name, part.precision, sizes, difference=part))
    yield _shown(rows, f"What the items of the {split} split show")
    yield (
        "Won or lost: the gain in reward and what the probes lost, aligned against base, paired item by item; clear: "
        f"above 0 beyond error; reversed: below 0 beyond error. {_FOUND}"
    )
    yield _asked(rows, tokens)
    yield _ASKED


def _written(part: PairedDifference, key: str, size: float) -> str:
    if key == "seen":
        return f"{number(part, size)}, as seen"
    return number(part, size) if part.name == "tax" else f"{number(part, size)}, {float(key):.0%} of the range"


def _shown(rows: Sequence[_Row], title: str) -> Table:
    measured = any(row.difference for row in rows)
    table = _table(title)
    for column in ("", "items", *(("won or lost", "95% interval", "") if measured else ()), "smallest found"):
        table.add_column(column, justify="left" if not column else "right")
    for row in rows:
        cells = [row.name, f"{sum(row.precision.items.values()):,}"]
        if part := row.difference:
            low, high = (number(part, each) for each in (part.interval.low, part.interval.high))
            cells += [number(part, part.value), f"{low} to {high}", part.verdict]
        smallest = row.precision.smallest
        cells.append(_UNKNOWN if math.isnan(smallest) else f"{smallest:.2g}{row.unit}")
        table.add_row(*cells)
    return table


def _asked(rows: Sequence[_Row], tokens: Mapping[str, float]) -> Table:
    table = _table("What it takes to find a difference")
    for column in ("", "difference", "items", "times those here", "tokens a trial"):
        table.add_column(column, justify="left" if not column else "right")
    for row in rows:
        for written, size in row.sizes.items():
            items = row.precision.items_for(size)
            if items is None:
                table.add_row(row.name, written, _UNKNOWN, "", "")
                continue
            total, spent = sum(items.values()), cost(items, tokens)
            times = total / sum(row.precision.items.values())
            table.add_row(
                row.name, written, count(total), f"{times:.2g}" if times < 100 else count(times), _known(spent)
            )
        table.add_section()
    return table


def _known(spent: float) -> str:
    return _UNKNOWN if math.isnan(spent) else count(spent)


def _table(title: str) -> Table:
    return Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
