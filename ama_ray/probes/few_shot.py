"""Solved examples in front of every item of a probe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ama_ray.data.splits import draw, question
from ama_ray.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ama_ray.data.rows import Row
    from ama_ray.data.splits import Splits

_BETWEEN = "\n\n"


def examples(name: str, n: int, pool: Sequence[Row], halves: Splits, solved: Callable[[Row], str]) -> str:
    """The text of solved examples, the same for all items: those with the lowest hash that are no items.

    Args:
        name: Of the probe, for errors.
        n: Number of examples.
        pool: To draw from.
        halves: The items of both splits; what one of them asks is never an example.
        solved: From a row to its prompt and right answer.

    Raises:
        UserError: Too few are left, or a row of the pool is malformed.
    """
    items = {question(row) for row in (*halves.search, *halves.report)}
    usable = {asked: row for row in pool if (asked := question(row)) not in items}
    if len(usable) < n:
        file = pool[0].where.rpartition(",")[0]
        raise UserError(
            f"{name}: few_shot.n is {n}, but {file} has only {len(usable)} examples that are not items of the probe; "
            "lower it, or name another few_shot.file."
        )
    chosen = sorted(usable, key=lambda asked: draw("example " + asked))[:n]
    return "".join(solved(usable[asked]) + _BETWEEN for asked in chosen)
