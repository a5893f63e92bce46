"""Trials by their names, as `ParetoSet.point` and `ama-ray export --point` take them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ama_ray.errors import UserError

if TYPE_CHECKING:
    from ama_ray.pareto import ParetoSet
    from ama_ray.trial import Trial

_UNIFORM = "uniform-"


def point(pareto: ParetoSet, name: str | int) -> Trial:
    """Finds a trial by its name; see `ParetoSet.point`."""
    if isinstance(name, int) or name.isdecimal():
        return _numbered(pareto, int(name))
    if name == "knee":
        return pareto.pick("knee")
    if name in ("base", "aligned"):
        return pareto.base if name == "base" else pareto.aligned
    if name.startswith(_UNIFORM):
        return _uniform(pareto, name.removeprefix(_UNIFORM))
    raise UserError(
        f"There is no point {name!r}; name the number of a trial, knee, base, aligned or, as {_UNIFORM}0.5, a uniform "
        "point."
    )


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
