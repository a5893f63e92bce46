"""Which trials are beaten beyond doubt, by a loop over all pairs of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ama_ray.scores.trial import Trial
from tests.support.paired_items import OBJECTIVES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.paired_items import Model


def searched(models: Sequence[Model], baselines: int) -> list[Trial]:
    """Trials with these items, the first ones uniform, from base to aligned."""
    trials = []
    for number, items in enumerate(models):
        ratio = number / max(1, baselines - 1)
        ratios = {"a": ratio, "b": ratio} if number < baselines else {"a": 0.1, "b": 0.2}
        origin = "baseline" if number < baselines else "sampler"
        trials.append(Trial(number, "complete", origin, ratios, OBJECTIVES.scores(items, models[0])))  # type: ignore[arg-type]
    return trials


def error_of(name: str, a: Model, b: Model) -> float:
    """The paired standard error of a difference, from the objectives themselves: b stands for base."""
    if name == "tax":
        return OBJECTIVES.scores(a, b).objectives["tax"].se
    return (
        OBJECTIVES.scores({key: a[key] - b[key] if a[key].shape[1] == 1 else a[key] for key in a}, b)
        .objectives[name]
        .se
    )


def beaten_beyond_doubt(number: int, trials: Sequence[Trial], models: Sequence[Model]) -> bool:
    """Whether another trial is better in every objective by more than 1.645 standard errors."""

    def surely(name: str, other: int) -> bool:
        sign = -1 if name == "tax" else 1
        ours, theirs = (trials[i].objectives[name].value for i in (number, other))
        return sign * (theirs - ours) > 1.645 * error_of(name, models[other], models[number])

    others = [other for other in range(len(trials)) if other != number]
    return any(all(surely(name, other) for name in OBJECTIVES.names) for other in others)
