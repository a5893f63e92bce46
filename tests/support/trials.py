"""Made-up trials for tests of what is done with them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ama_ray.scores.trial import Estimate, Origin, ProbeResult, Scores, Trial

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def scores(
    values: Sequence[float],
    errors: Sequence[float] | None = None,
    names: Sequence[str] = ("reward", "tax"),
    probes: Mapping[str, ProbeResult] | None = None,
) -> Scores:
    """Scores with so many standard errors, those of rewards 0.1 and that of the tax 0.01 where they are not given."""
    errors = errors or [0.1] * (len(values) - 1) + [0.01]
    estimates = {name: Estimate(*each) for name, *each in zip(names, values, errors, strict=True)}
    return Scores(estimates, dict(probes or {}))


def trial(
    number: int,
    reward: float,
    tax: float,
    ratio: float | None = None,
    *,
    errors: tuple[float, float] = (0.1, 0.01),
    report: tuple[float, float] | None = None,
) -> Trial:
    """A complete trial of two groups: a baseline where a ratio is given, else one of the sampler."""
    origin: Origin = "sampler" if ratio is None else "baseline"
    ratios = {"a": 0.3, "b": 0.7} if ratio is None else {"a": ratio, "b": ratio}
    later = None if report is None else scores(report, errors)
    return Trial(number, "complete", origin, ratios, scores((reward, tax), errors), later)


def five_trials(shift: float = 0.0) -> list[Trial]:
    """Base, aligned, the uniform point between, two of a sampler: trial 4, its reward `shift` higher, is the knee."""
    return [
        trial(0, 0.0, 0.0, 0.0),
        trial(1, 4.0, 0.4, 1.0),
        trial(2, 2.0, 0.2, 0.5),
        trial(3, 1.5, 0.01),
        trial(4, 3.5 + shift, 0.05),
    ]


def with_objectives(trial: Trial, errors: Sequence[float] | None = None, **values: float) -> Trial:
    """A trial that scored otherwise on the search split; a failed one as it is."""
    if trial.search is None:
        return trial
    before = trial.search.objectives
    changed = {name: values.get(name, estimate.value) for name, estimate in before.items()}
    errors = errors or [estimate.se for estimate in before.values()]
    return replace(trial, search=scores([*changed.values()], errors, [*changed], trial.search.probes))
