"""Picking one point of a front."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ama_ray.errors import UserError
from ama_ray.scores.tokens import rewards_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.pareto.trade import Trade
    from ama_ray.scores.trial import Trial


def short(front: Sequence[Trial], of: str, max_tokens: float | None) -> Sequence[Trial]:
    """The points of a front with short replies; at least one.

    Args:
        front: The front; at least one point.
        of: The reward or probe whose replies count.
        max_tokens: Most tokens per reply, on average; None for all points.

    Raises:
        UserError: No point has so few, or the tokens are not known.
    """
    if max_tokens is None:
        return front
    tokens = {trial.number: trial.replies[of].tokens for trial in front if of in trial.replies}
    if not tokens:
        raise UserError("max_tokens: the run has not counted the tokens of its replies.")
    points = [trial for trial in front if tokens.get(trial.number, math.inf) <= max_tokens]
    if not points:
        least = min(tokens, key=tokens.__getitem__)
        raise UserError(
            f"No point has at most {max_tokens:g} tokens per reply; the least, {tokens[least]:.4g}, has trial {least}."
        )
    return points


def pick(  # noqa: PLR0917
    front: Sequence[Trial],
    trade: Trade,
    how: str | None,
    max_tax: float | None,
    min_reward: float | Mapping[str, float] | None,
    near: Mapping[str, float] | None,
) -> Trial:
    """Picks one point of a front; see `ParetoSet.pick`.

    Args:
        front: The front by rising tax; at least one point.
        trade: Base and aligned of the same run and split.
        how: See `ParetoSet.pick`.
        max_tax: See `ParetoSet.pick`.
        min_reward: See `ParetoSet.pick`.
        near: See `ParetoSet.pick`.
    """
    if how not in (None, "knee"):
        raise UserError(f"{how!r} is not a pick; use 'knee', max_tax=..., min_reward=... or near=...")
    least = _by_name(rewards_of(trade.objectives), min_reward)
    points = _within(front, max_tax, least)
    if near:
        return _nearest(trade, points, how, near)
    if how is None and max_tax is None and least:
        return points[0]
    most_reward = how is None and max_tax is not None and not least
    if most_reward and len(trade.objectives) == 2:
        return points[-1]
    if trade.why_none:
        lacking = "way to weigh several rewards" if most_reward else "knee"
        remedy = "min_reward" if most_reward else "max_tax or min_reward"
        raise UserError(f"There is no {lacking}, as {trade.why_none}; pick with {remedy} alone.")
    return max(points, key=trade.gain if most_reward else trade.above_line)


def _nearest(trade: Trade, points: Sequence[Trial], how: str | None, wish: Mapping[str, float]) -> Trial:
    if how is not None:
        raise UserError(f"near: asks for another point than the {how}; leave one of the two out.")
    if unknown := [name for name in wish if name not in trade.objectives]:
        raise UserError(f"near: there is no objective {unknown[0]!r}; there are: {', '.join(trade.objectives)}.")
    if trade.why_none:
        raise UserError(f"near: there is no box to measure in, as {trade.why_none}; pick with max_tax or min_reward.")

    def distance(trial: Trial) -> float:
        return math.hypot(*((trial.objectives[name].value - value) / trade.span(name) for name, value in wish.items()))

    return min(points, key=distance)


def _by_name(rewards: Sequence[str], min_reward: float | Mapping[str, float] | None) -> Mapping[str, float]:
    if min_reward is None:
        return {}
    if not isinstance(min_reward, Mapping):
        if len(rewards) > 1:
            raise UserError(f"min_reward: there are the rewards {', '.join(rewards)}; say which one by its name.")
        return {rewards[0]: min_reward}
    if unknown := [name for name in min_reward if name not in rewards]:
        raise UserError(f"min_reward: there is no reward {unknown[0]!r}; there are: {', '.join(rewards)}.")
    return min_reward


def _within(front: Sequence[Trial], max_tax: float | None, least: Mapping[str, float]) -> Sequence[Trial]:
    """The points of the front that satisfy the constraints: at least one."""
    points = [trial for trial in front if max_tax is None or trial.tax <= max_tax]
    if not points:
        raise UserError(f"No point has tax at most {max_tax:g}; the least is {_tell(front[0])}.")
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
