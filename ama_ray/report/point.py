"""One point of a run, for people and for programs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from ama_ray.report.named import PLUS_MINUS, decimals, plus_minus, split_note

if TYPE_CHECKING:
    from ama_ray.pareto import ParetoSet
    from ama_ray.trial import Estimate, ProbeResult, Trial


def point_table(pareto: ParetoSet, trial: Trial) -> Table:
    """The objectives and probes of a point with their errors, and its ratios."""
    table = Table(
        title=f"Trial {trial.number} ({trial.origin}), {pareto.split} split",
        title_justify="left",
        caption=_caption(pareto),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
    )
    for column in ("", "value", "from base (0%) to aligned (100%)"):
        table.add_column(column, justify="right" if column else "left")
    ends = (*pareto.front, *pareto.uniform)
    for name, estimate in trial.objectives.items():
        places = decimals(other.objectives[name].value for other in ends)
        share = "" if pareto.no_trade else f"{pareto.share(trial, name):.0%}"
        table.add_row(name, plus_minus(estimate.value, estimate.se, places), share)
    for name, probe in trial.probes.items():
        table.add_row(name, plus_minus(probe.score, probe.score_se, 3), "")
    table.add_section()
    for group, ratio in trial.ratios.items():
        table.add_row(f"ratio of {group}", f"{ratio:.3f}", "")
    return table


def trial_fields(trial: Trial) -> dict[str, Any]:
    """A trial as plain values for JSON, on the split that it is seen on; what is not known is null."""
    return {
        "number": trial.number,
        "state": trial.state,
        "reason": trial.reason,
        "origin": trial.origin,
        "split": trial.split,
        "ratios": trial.ratios,
        "objectives": {name: _fields(estimate) for name, estimate in trial.objectives.items()},
        "probes": {name: _fields(result) for name, result in trial.probes.items()},
    }


def front_fields(pareto: ParetoSet) -> dict[str, Any]:
    """A front as plain values for JSON."""
    return {
        "split": pareto.split,
        "hypervolume": value_or_null(pareto.hypervolume),
        "uniform_hypervolume": value_or_null(pareto.uniform_hypervolume),
        "points": [trial_fields(trial) for trial in pareto.front],
    }


def value_or_null(value: float) -> float | None:
    """JSON has no NaN."""
    return value if math.isfinite(value) else None


def _fields(result: Estimate | ProbeResult) -> dict[str, float | None]:
    return {key: value_or_null(value) for key, value in vars(result).items()}


def _caption(pareto: ParetoSet) -> str:
    return (
        f"{split_note(pareto)} {PLUS_MINUS} tax: points (0-1) lost on the probes against base, mean over families; "
        "probes: the score, in the metric of the probe; ratio: share of aligned (0 is base, 1 is aligned)."
    )
