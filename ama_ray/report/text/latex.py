"""Tables as LaTeX, for the booktabs package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ama_ray.report.formatting import decimals, plus_minus
from ama_ray.scores.tokens import minimised

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.pareto.pareto_set import ParetoSet
    from ama_ray.scores.trial import Trial

_LATEX = str.maketrans({**{c: f"\\{c}" for c in "&%$#_{}"}, "≤": r"$\leq$", "≥": r"$\geq$", "±": r"$\pm$"})
_LATEX |= str.maketrans({"↑": r"$\uparrow$", "↓": r"$\downarrow$"})


def tabular(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A tabular of plain texts; the first column labels the rows."""
    lines = [" & ".join(text.translate(_LATEX) for text in row) + r" \\" for row in (columns, *rows)]
    body = "\n".join([r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"])
    return f"\\begin{{tabular}}{{l{'r' * (len(columns) - 1)}}}\n{body}\n\\end{{tabular}}"


def front_latex(pareto: ParetoSet, front: Sequence[Trial]) -> str:
    """A front as a tabular: objectives with their errors, scores of the probes, and the mean ratio."""
    places = {name: decimals(t.objectives[name].value for t in front) for name in pareto.objectives}
    probes = list(dict.fromkeys(name for trial in front for name in trial.probes))
    headings = [f"{name} {'↓' if minimised(name) else '↑'}" for name in pareto.objectives]

    def row(trial: Trial) -> list[str]:
        estimates = ((places[name], each) for name, each in trial.objectives.items())
        return [
            str(trial.number),
            *(plus_minus(each.value, each.se, digits) for digits, each in estimates),
            *(f"{trial.probes[name].score:.3f}" if name in trial.probes else "" for name in probes),
            f"{trial.mean_ratio:.3f}",
        ]

    return tabular(["trial", *headings, *probes, "mean ratio"], [row(trial) for trial in front])
