"""A front in the order of a column."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ama_ray.errors import UserError

if TYPE_CHECKING:
    from ama_ray.pareto import ParetoSet
    from ama_ray.trial import Trial


def by_column(pareto: ParetoSet, column: str) -> list[Trial]:
    """Sorts a front by a column of `trials.csv`, on the split of the front; by a falling one with a minus before it.

    The name of a probe alone means its score. Trials without a value come last.

    Raises:
        UserError: No trial has such a column.
    """
    name, falling = column.removeprefix("-"), column.startswith("-")
    values: dict[int, Any] = {}
    for trial in pareto.front:
        row = trial.to_row() | (trial.scores.to_row() if trial.scores else {})
        found = row.get(name, row.get(f"{name}.score"))
        if found is not None and not (isinstance(found, float) and math.isnan(found)):
            values[trial.number] = found
    if pareto.front and not values:
        there = [*pareto.objectives, *dict.fromkeys(name for trial in pareto.front for name in trial.probes)]
        raise UserError(
            f"--sort {column}: the front has no such column; name one of trials.csv: number, {', '.join(there)}, ..."
        )
    known = [trial for trial in pareto.front if trial.number in values]
    rest = [trial for trial in pareto.front if trial.number not in values]
    return [*sorted(known, key=lambda trial: values[trial.number], reverse=falling), *rest]
