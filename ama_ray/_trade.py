"""What there is to trade between base and aligned, and picking one point of a front."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ama_ray.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.pareto import ParetoSet
    from ama_ray.trial import Trial


def why_none(pareto: ParetoSet) -> str:
    """Why there is nothing to trade between base and aligned; empty where there is."""
    try:
        base, aligned = pareto.base.objectives, pareto.aligned.objectives
    except UserError as error:
        reason = str(error).rstrip(".")
        return reason[0].lower() + reason[1:]
    for name in pareto.objectives:
        if not aligned[name].value > base[name].value:
            what = "costs no tax" if name == "tax" else f"does not raise the {reward_called(name)}"
            return f"the aligned model {what} ({aligned[name].value:.4g}, base {base[name].value:.4g})"
    return ""


def why_no_front(pareto: ParetoSet) -> str:
    """Why no trial is on the front, with the trial that is nearest to it; empty where there is a front."""
    if pareto.front:
        return ""
    if not pareto.left_out:
        return "No trial is complete"
    constraints = pareto.constraints
    violations = {t.number: constraints.violations(t.scores) for t in pareto.left_out if t.scores}
    # Rewards and taxes differ in size: each is measured by how far the trials are apart in it.
    reach = {name: _spread([each[name] for each in violations.values()]) for name in constraints.bounds}

    def distance(trial: Trial) -> float:
        return max(math.inf if math.isnan(v) else v / reach[name] for name, v in violations[trial.number].items())

    nearest = min(pareto.left_out, key=distance)
    assert nearest.scores is not None
    estimates = constraints.estimates(nearest.scores)
    by = [
        f"{name} {estimates[name].value:.4g} ± {estimates[name].se:.2g}, {violation:.2g} beyond the bound"
        for name, violation in violations[nearest.number].items()
        if not violation <= 0
    ]
    return f"No trial satisfies {constraints}; the nearest is trial {nearest.number} ({'; '.join(by)})"


def _spread(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return (max(known) - min(known) if known else 0.0) or 1.0


def reward_called(name: str) -> str:
    """How a sentence calls a reward objective: `reward`, or `reward helpful` where it has a name of its own."""
    return name if name == "reward" else f"reward {name}"


def pick(
    pareto: ParetoSet,
    how: str | None,
    max_tax: float | None,
    min_reward: float | Mapping[str, float] | None,
    near: Mapping[str, float] | None,
) -> Trial:
    """Picks one point of the front; see `ParetoSet.pick`."""
    if how not in (None, "knee"):
        raise UserError(f"{how!r} is not a pick; use 'knee', max_tax=..., min_reward=... or near=...")
    least = _by_name(pareto, min_reward)
    points = _within(pareto, max_tax, least)
    if near:
        return _nearest(pareto, points, how, near)
    if how is None and max_tax is None and least:
        return points[0]
    most_reward = how is None and max_tax is not None and not least
    if most_reward and len(pareto.objectives) == 2:
        return points[-1]
    if pareto.no_trade:
        lacking = "way to weigh several rewards" if most_reward else "knee"
        remedy = "min_reward" if most_reward else "max_tax or min_reward"
        raise UserError(f"There is no {lacking}, as {pareto.no_trade}; pick with {remedy} alone.")
    return max(points, key=pareto.gain if most_reward else pareto.above_line)


def _nearest(pareto: ParetoSet, points: Sequence[Trial], how: str | None, wish: Mapping[str, float]) -> Trial:
    if how is not None:
        raise UserError(f"near: asks for another point than the {how}; leave one of the two out.")
    if unknown := [name for name in wish if name not in pareto.objectives]:
        raise UserError(f"near: there is no objective {unknown[0]!r}; there are: {', '.join(pareto.objectives)}.")
    if pareto.no_trade:
        raise UserError(f"near: there is no box to measure in, as {pareto.no_trade}; pick with max_tax or min_reward.")
    base, aligned = pareto.base.objectives, pareto.aligned.objectives

    def distance(trial: Trial) -> float:
        return math.hypot(
            *((trial.objectives[n].value - value) / (aligned[n].value - base[n].value) for n, value in wish.items())
        )

    return min(points, key=distance)


def _by_name(pareto: ParetoSet, min_reward: float | Mapping[str, float] | None) -> Mapping[str, float]:
    rewards = pareto.objectives[:-1]
    if min_reward is None:
        return {}
    if not isinstance(min_reward, Mapping):
        if len(rewards) > 1:
            raise UserError(f"min_reward: there are the rewards {', '.join(rewards)}; say which one by its name.")
        return {rewards[0]: min_reward}
    if unknown := [name for name in min_reward if name not in rewards]:
        raise UserError(f"min_reward: there is no reward {unknown[0]!r}; there are: {', '.join(rewards)}.")
    return min_reward


def _within(pareto: ParetoSet, max_tax: float | None, least: Mapping[str, float]) -> Sequence[Trial]:
    """The points of the front that satisfy the constraints: at least one."""
    if why := pareto.no_front:
        raise UserError(f"{why}, so there is no front to pick from.")
    points = [trial for trial in pareto.front if max_tax is None or trial.tax <= max_tax]
    if not points:
        raise UserError(f"No point has tax at most {max_tax:g}; the least is {_tell(pareto.front[0])}.")
    under = [] if max_tax is None else [f"tax at most {max_tax:g}"]
    for name, value in least.items():
        best = max(points, key=lambda trial: trial.objectives[name].value)
        points = [trial for trial in points if trial.objectives[name].value >= value]
        if not points:
            given = f" with {' and '.join(under)}" if under else ""
            raise UserError(f"No point{given} has {name} at least {value:g}; the highest is {_tell(best)}.")
        under.append(f"{name} at least {value:g}")
    return points


def _tell(trial: Trial) -> str:
    values = ", ".join(f"{name} {estimate.value:.4g}" for name, estimate in trial.objectives.items())
    return f"trial {trial.number} ({values})"
