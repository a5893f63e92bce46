"""Trials by their names, as `ama_ray.api.Run.point` and `ama-ray export --point` take them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ama_ray.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from ama_ray.pareto.pareto_set import ParetoSet
    from ama_ray.scores.trial import Trial

_TRIAL, _UNIFORM = "trial-", "uniform-"


def served(pareto: ParetoSet) -> dict[str, Trial]:
    """The points that a run is served with, by name: the knee, base, aligned, the front, and the baseline.

    Several names may be one trial. Without a trade between base and aligned there is no knee.

    Raises:
        UserError: There is no front.
    """
    if pareto.no_front:
        raise UserError(f"{pareto.no_front}, so that there is no front to serve.")
    knee = {} if pareto.no_trade else {"knee": pareto.pick("knee")}
    front = {f"{_TRIAL}{trial.number}": trial for trial in pareto.front}
    uniform = {f"{_UNIFORM}{trial.uniform_ratio:g}": trial for trial in pareto.uniform}
    return knee | pareto.trade.ends | front | uniform | _of_several(pareto)


def _of_several(pareto: ParetoSet) -> dict[str, Trial]:
    """The other points of the baseline, by name, as there are with several aligned models."""
    others = [trial for trial in pareto.baseline if trial.uniform_ratio is None]
    return {trial.title.replace(" ", "-"): trial for trial in others}


def point(pareto: ParetoSet, name: str | int) -> Trial:
    """A trial by its name: `knee`, `base`, `aligned`, `uniform-0.5`, or the number of any trial.

    Raises:
        UserError: There is no such trial.
    """
    if isinstance(name, int) or name.removeprefix(_TRIAL).isdecimal():
        return _numbered(pareto, int(str(name).removeprefix(_TRIAL)))
    if name == "knee":
        return pareto.pick("knee")
    if name in ("base", "aligned"):
        return pareto.base if name == "base" else pareto.aligned
    others = _of_several(pareto)
    if name in others:
        return others[name]
    if name.startswith(_UNIFORM):
        return _uniform(pareto, name.removeprefix(_UNIFORM))
    uniform = (f"{_UNIFORM}{trial.uniform_ratio:g}" for trial in pareto.uniform)
    near = did_you_mean(name, ("knee", "base", "aligned", *uniform, *others))
    there = f"name the number of a trial, knee, base, aligned or, as {_UNIFORM}0.5, a uniform point{near or '.'}"
    raise UserError(f"There is no point {name!r}; {there}")


def _numbered(pareto: ParetoSet, number: int) -> Trial:
    for trial in pareto.trials:
        if trial.number == number:
            return trial.seen_on(pareto.split)
    on_front = ", ".join(str(trial.number) for trial in pareto.front)
    raise UserError(f"There is no trial {number}; the front has trials {on_front or '(none)'}.")


def _uniform(pareto: ParetoSet, ratio: str) -> Trial:
    try:
        wanted = float(ratio)
    except ValueError:
        raise UserError(f"{_UNIFORM}{ratio}: give a ratio, as in {_UNIFORM}0.5.") from None
    for trial in pareto.uniform:
        if trial.uniform_ratio == wanted:
            return trial
    there = ", ".join(f"{trial.uniform_ratio:g}" for trial in pareto.uniform)
    raise UserError(f"There is no uniform point with ratio {ratio}; those scored have {there or '(none)'}.")


def knee(pareto: ParetoSet) -> Trial | None:
    """The knee of the front, or None where there is no front or nothing to trade."""
    return None if pareto.no_trade or not pareto.front else pareto.pick("knee")


def best_uniform(pareto: ParetoSet, point: Trial | None = None) -> Trial | None:
    """The uniform point with the highest reward at no more tax than a point; None where there is no such point.

    With several reward objectives, the one with the largest `Trade.gain`.

    Args:
        pareto: The run.
        point: A trial with scores on the split of the run; default: the knee, without which there is none.
    """
    point = point or knee(pareto)
    if point is None or pareto.no_trade:
        return None
    affordable = [trial for trial in pareto.uniform_front if trial.tax <= point.tax]
    return max(affordable, key=pareto.trade.gain, default=None)


def twin(pareto: ParetoSet, point: Trial) -> Trial | None:
    """The twin of a point, the uniform point of the same mean ratio; None where none was scored."""
    like = [trial for trial in pareto.scored if trial.origin == "twin" and trial.number != point.number]
    return next((trial for trial in like if math.isclose(trial.mean_ratio, point.mean_ratio, abs_tol=1e-6)), None)


def named(pareto: ParetoSet) -> dict[str, Trial]:
    """The trials with a name, by name: knee, base, aligned, best uniform; without those the run lacks."""
    ends = pareto.trade.ends
    found = {"knee": knee(pareto), "base": ends.get("base"), "aligned": ends.get("aligned")}
    found["best uniform"] = best_uniform(pareto)
    return {name: trial for name, trial in found.items() if trial is not None}
