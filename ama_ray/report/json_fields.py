"""Trials and fronts as plain values, for JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ama_ray.pareto.pareto_set import ParetoSet
    from ama_ray.scores.trial import Estimate, ProbeResult, Trial


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
