"""Trials and fronts as plain values, for JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ama_ray.analysis.claims import Claims
    from ama_ray.analysis.precision import Precision
    from ama_ray.analysis.trade_test import TradeTest
    from ama_ray.run import StoredRun
    from ama_ray.scores.interval import Interval
    from ama_ray.scores.objectives import Objectives
    from ama_ray.scores.trial import Estimate, ProbeResult, Replies, Trial


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
        "replies": {name: _fields(result) for name, result in trial.replies.items()},
    }


def front_fields(run: StoredRun, points: Sequence[Trial] | None = None) -> dict[str, Any]:
    """The front of a run as plain values for JSON, its points in the given order (default: by rising tax)."""
    pareto, claims = run.pareto, run.claims
    return {
        "split": pareto.split,
        "hypervolume": value_or_null(pareto.hypervolume),
        "uniform_hypervolume": value_or_null(pareto.uniform_hypervolume),
        "claims": claim_fields(run),
        "points": [trial_fields(trial) | _place(claims, trial) for trial in points or pareto.front],
    }


def trade_fields(test: TradeTest) -> dict[str, Any]:
    """The test of base against aligned as plain values for JSON.

    Of every objective and probe: what was won or lost with its 95% interval, the smallest difference that the items
    find, and how many items, by their source, each difference takes.
    """
    parts = {
        part.name: interval_fields(part.interval) | {"verdict": part.verdict} | _precision(part.precision, part.sizes)
        for part in (*test.parts, *test.probes)
    }
    return {"clear": test.clear, "parts": parts}


def expected_fields(objectives: Objectives, sizes: Mapping[str, int]) -> dict[str, Any]:
    """What items will be able to show, from their numbers alone, as plain values for JSON; see `expected`."""
    from ama_ray.analysis.trade_test import expected  # scipy takes its time

    return {name: _precision(part, {}) for name, part in expected(objectives, sizes).items()}


def _precision(precision: Precision, sizes: Mapping[str, float]) -> dict[str, Any]:
    """What items can show; `sizes` are the differences whose numbers of items are told, by what they are called."""
    known = {"items": dict(precision.items), "smallest": value_or_null(precision.smallest)}
    return known | {f"items_for_{name}": precision.items_for(size) for name, size in sizes.items() if size > 0}


def front_row(run: StoredRun, trial: Trial) -> dict[str, Any]:
    """A row of `front.csv`: that of `trials.csv`, how likely the trial is on the front, and the letter of its group."""
    place = _place(run.claims, trial)
    return trial.to_row() | {f"front.{key}": "" if each is None else each for key, each in place.items()}


def _place(claims: Claims, trial: Trial) -> dict[str, float | str | None]:
    probability = value_or_null(claims.on_front.get(trial.number, math.nan))
    return {"probability": probability, "group": claims.group(trial.number)}


def claim_fields(run: StoredRun) -> dict[str, Any]:
    """What is said of the front, each as value, low and high of a 95% interval; what is not known is null."""
    claims = run.claims
    return {
        "hypervolume": interval_fields(claims.hypervolume),
        "uniform_hypervolume": interval_fields(claims.uniform),
        "difference": interval_fields(claims.difference),
        "search_hypervolume": interval_fields(run.searched_claims.hypervolume),
        "knee": {name: interval_fields(each) for name, each in claims.knee.items()},
        "best_uniform": {name: interval_fields(each) for name, each in claims.beside.items()},
        "over_twin": {name: interval_fields(each) for name, each in claims.over_twin.items()},
        "gain_over_uniform": interval_fields(claims.gain),
        "optimism": interval_fields(run.optimism),
        "groups": [list(members) for members in claims.groups],
    }


def interval_fields(interval: Interval) -> dict[str, float | None]:
    """An interval as plain values."""
    return {key: value_or_null(value) for key, value in vars(interval).items()}


def value_or_null(value: float) -> float | None:
    """JSON has no NaN."""
    return value if math.isfinite(value) else None


def _fields(result: Estimate | ProbeResult | Replies) -> dict[str, float | None]:
    return {key: value_or_null(value) for key, value in vars(result).items()}
