"""Items of the run's files: reading them, and dividing them into the search split and the report split."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ama_ray.data.hub import read_rows
from ama_ray.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ama_ray.config.data import Source
    from ama_ray.data.rows import Row

SEARCH_SHARE = 0.35
"""Share of the items of the search split that trials of the search see; base and aligned, which tell whether there is a
trade, see all. Searches found fronts as good for far fewer tokens (`benchmarks.front.tokens`)."""

FEWEST_SEARCHED = 128
"""Items of one source that trials of the search see at least, where there are so many: those of the bundled run, on
which the search was measured. Trials on few items cost little, and noise is what such searches suffer from."""

PARTS = (0.1, 0.2, 0.35, 0.6, 1.0)
"""Shares of the items that a trial of the search sees after which a hopeless one may be stopped."""

FEWEST_FOR_PARTS = 100
"""With fewer items, the first parts would say too little."""
_TEST_SPLIT = re.compile(r"(?<![a-z])(news)?test(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True)
class Splits:
    """The items of one source by split; no item is in both."""

    search: tuple[Row, ...]
    report: tuple[Row, ...]


def question(row: Row) -> str:
    """What an item asks, by which items are told apart: two that ask the same are one, whatever their answers.

    The fields `prompt`, `prompts`, `text` and `continuation`, as far as the row has them.
    """
    asked = {name: row.fields[name] for name in ("prompt", "prompts", "text", "continuation") if name in row.fields}
    return json.dumps(asked or row.fields, sort_keys=True, default=str)


def draw(key: str) -> float:
    """A number in [0, 1) that depends on the key alone, so that adding items to a file moves none of the others."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64


def divide(rows: Sequence[Row], share: float, key: Callable[[Row], str] = question) -> Splits:
    """Divides the items of one file or dataset by a fixed hash of what they ask.

    Args:
        rows: All items.
        share: Of the items that go to the report split, in expectation (0-1).
        key: What tells items apart.

    Raises:
        UserError: There are so few items that a split is empty.
    """
    in_report = [draw(key(row)) < share for row in rows]
    halves = Splits(
        tuple(row for row, later in zip(rows, in_report, strict=True) if not later),
        tuple(row for row, later in zip(rows, in_report, strict=True) if later),
    )
    if not (halves.search and halves.report):
        file, different = rows[0].where.rpartition(",")[0], len({key(row) for row in rows})
        same = f" ask {different} different things, which" if different < len(rows) else ""
        raise UserError(
            f"{file}: {len(rows)} items{same} are too few to divide into a search split and a report split; add items, "
            "or name a report_file."
        )
    return halves


def check_disjoint(halves: Splits, key: Callable[[Row], str] = question) -> Splits:
    """Returns the halves once it is certain that they share no item.

    Raises:
        UserError: An item is in both; names its two places.
    """
    seen = {key(row): row.where for row in halves.search}
    for row in halves.report:
        if (where := seen.get(key(row))) is not None:
            raise UserError(
                f"{row.where}: this item of the report split is in the search split too ({where}); remove one of them."
            )
    return halves


def limit(rows: Sequence[Row], most: int | None, key: Callable[[Row], str] = question) -> tuple[Row, ...]:
    """At most so many rows, those with the lowest hash, in their old order."""
    if most is None or len(rows) <= most:
        return tuple(rows)
    # Not the hash that divides the splits: the lowest of that would be at one end of a split.
    chosen = sorted(range(len(rows)), key=lambda i: draw("limit " + key(rows[i])))[:most]
    return tuple(rows[i] for i in sorted(chosen))


def shuffled(rows: Sequence[Row], key: Callable[[Row], str] = question) -> tuple[Row, ...]:
    """The rows in the order of a hash, so that the first of them are a fair draw of all; too few for parts stay put."""
    if len(rows) < FEWEST_FOR_PARTS:
        return tuple(rows)
    return tuple(sorted(rows, key=lambda row: draw("shuffle " + key(row))))


def searched(count: int) -> int:
    """How many of so many shuffled rows of a search split, from the first on, trials of the search see."""
    return min(count, max(FEWEST_SEARCHED, round(SEARCH_SHARE * count)))


def parts(rows: Sequence[Row]) -> list[slice]:
    """Where parts begin and end among the shuffled rows that trials of the search see; none where these are too few."""
    if len(rows) < FEWEST_FOR_PARTS:
        return []
    ends = [round(share * len(rows)) for share in PARTS]
    return [slice(start, end) for start, end in pairwise([0, *ends])]


def load(
    source: Source,
    share: float,
    read: Callable[[Any], list[Row]] = read_rows,
    key: Callable[[Row], str] = question,
) -> Splits:
    """Reads the items of a source and divides them.

    Raises:
        UserError: A file is missing or malformed, or the two files share an item.
    """
    if source.report_file is None:
        halves = divide(read(source.file), share, key)
    else:
        halves = check_disjoint(Splits(tuple(read(source.file)), tuple(read(source.report_file))), key)
    return Splits(limit(halves.search, source.items, key), limit(halves.report, source.items, key))


def is_test_split(name: str) -> bool:
    """Whether a file name or the name of a dataset's split says that it is a benchmark's test split."""
    return _TEST_SPLIT.search(Path(name).name) is not None
