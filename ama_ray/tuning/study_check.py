"""Whether a study that is gone on with is that of the run's trials. `trials.csv` is the truth."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, get_args

from optuna.trial import TrialState

from ama_ray.errors import UserError
from ama_ray.scores.trial import Origin
from ama_ray.storage.names import TRIALS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import optuna
    from optuna.trial import FrozenTrial

    from ama_ray.scores.trial import Trial
    from ama_ray.space.parametrization import Parametrization

CLOSE = 1e-9
"""What a ratio or a score may differ by: both were written by this package, as they were."""


def check_study(
    study: optuna.Study, place: str, trials: Sequence[Trial], names: Sequence[str], shape: Parametrization
) -> None:
    """Refuses a study that was changed, or is not of these trials.

    What a trial was not finished with, a killed process has left behind, and is nothing against a study.

    Args:
        study: As it was opened.
        place: Where it is, as messages name it.
        trials: Those of the run that an earlier process finished.
        names: The objectives, in the order of the study's.
        shape: It makes ratios of the study's parameters.

    Raises:
        UserError: It does not fit; names the first trial.
    """
    finished, seen = {trial.number: trial for trial in trials}, set()
    for frozen in study.get_trials(deepcopy=False):
        if not _is_whole(frozen, len(names)):
            raise UserError(_refusal(place, frozen.number, "has fields of other types"))
        number = frozen.user_attrs.get("number")
        if number is None and frozen.state != TrialState.COMPLETE:
            continue
        why = _why_odd(frozen, shape)
        if not why and number in seen:
            why = "is there twice"
        if not why and number in finished:
            why = _why_other(frozen, finished[number], names)
        if why:
            raise UserError(_refusal(place, number, why))
        seen.add(number)


def _refusal(place: str, number: object, why: str) -> str:
    return (
        f"{place}: the study was changed, or is of another run: its trial {number!r:.40} {why}; put it back "
        f"as it was, or remove it, and the search goes on from {TRIALS}."
    )


def _is_whole(frozen: FrozenTrial, objectives: int) -> bool:
    """Whether a trial's fields are of the types that Optuna writes: its journal takes any."""
    fixed = frozen.system_attrs.get("fixed_params", {}) if isinstance(frozen.system_attrs, dict) else None
    given = (frozen.user_attrs, frozen.params, frozen.distributions)
    if not all(isinstance(each, dict) for each in given) or not isinstance(fixed, dict):
        return False
    if not all(map(_is_number, [*frozen.params.values(), *fixed.values()])):
        return False
    if frozen.state != TrialState.COMPLETE:
        return True
    return (
        isinstance(frozen.values, list | tuple)
        and len(frozen.values) == objectives
        and all(map(_is_number, frozen.values))
    )


def _is_number(value: object) -> bool:
    try:
        return isinstance(value, float | int) and math.isfinite(value)
    except OverflowError:  # an integer above the largest float
        return False


def _why_odd(frozen: FrozenTrial, shape: Parametrization) -> str:
    number, origin, ratios = (frozen.user_attrs.get(name) for name in ("number", "origin", "ratios"))
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        return "has no number"
    if origin not in get_args(Origin):
        return f"is of no known origin ({origin!r:.40})"
    if not isinstance(ratios, dict) or not all(map(_is_number, ratios.values())):
        return "has no ratios"
    if origin == "sampler" and (
        frozen.params.keys() != shape.ranges.keys() or not _same(shape.to_ratios(frozen.params), ratios)
    ):
        return "has other parameters than ratios"
    return ""


def _why_other(frozen: FrozenTrial, trial: Trial, names: Sequence[str]) -> str:
    attributes = frozen.user_attrs
    if attributes["origin"] != trial.origin or not _same(attributes["ratios"], trial.ratios):
        return f"has other ratios than in {TRIALS}"
    if frozen.state == TrialState.COMPLETE and trial.state == "complete" and trial.search:
        scored = {name: trial.search.objectives[name].value for name in names}
        if not _same(dict(zip(names, frozen.values, strict=True)), scored):
            return f"scored otherwise than in {TRIALS}"
    return ""


def _same(some: Mapping[str, float], others: Mapping[str, float]) -> bool:
    return some.keys() == others.keys() and all(
        math.isclose(value, others[name], rel_tol=CLOSE, abs_tol=CLOSE) for name, value in some.items()
    )
