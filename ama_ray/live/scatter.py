"""A small scatter of characters: reward against tax."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.pareto.pareto_set import ParetoSet

WIDTH, HEIGHT = 40, 9
"""Characters of the field."""
FRONT, UNIFORM = "●", "□"


def scatter(pareto: ParetoSet, width: int = WIDTH, height: int = HEIGHT) -> Text:
    """The front and the uniform points in the first reward (up) and the tax (right), with the ends of both axes."""
    reward = pareto.objectives[0]
    marked = [(FRONT, trial) for trial in pareto.front]
    known = {trial.number for trial in pareto.front}
    points = [
        (mark, trial.tax, trial.objectives[reward].value)
        for mark, trial in [*((UNIFORM, trial) for trial in pareto.uniform if trial.number not in known), *marked]
    ]
    points = [point for point in points if math.isfinite(point[1]) and math.isfinite(point[2])]
    if not points:
        return Text("")
    (left, right), (bottom, top) = _ends([x for _, x, _ in points]), _ends([y for _, _, y in points])
    field = [[" "] * width for _ in range(height)]
    for mark, x, y in points:
        column = round((x - left) / (right - left) * (width - 1))
        row = round((top - y) / (top - bottom) * (height - 1))
        field[row][column] = mark
    labels = [f"{top:.2f}", *[""] * (height - 2), f"{bottom:.2f}"]
    indent = max(map(len, labels))
    lines = [f"{label:>{indent}} │{''.join(row)}" for label, row in zip(labels, field, strict=True)]
    low, high = f"{left:.3f}", f"tax {right:.3f}"
    lines.append(f"{'':>{indent}} └{'─' * width}")
    lines.append(f"{'':>{indent}}  {low}{high:>{width - len(low)}}")
    text = Text(f"{reward}   {FRONT} front  {UNIFORM} uniform\n" + "\n".join(lines))
    text.highlight_words([FRONT], "blue")
    text.highlight_words([UNIFORM], "dark_orange")
    return text


def _ends(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)
