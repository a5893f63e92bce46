"""What a run won, in a few large numbers for the top of the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ama_ray.pareto.named_points import best_uniform, knee
from ama_ray.pareto.trade import reward_called
from ama_ray.scores.tokens import rewards_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ama_ray.run import StoredRun
    from ama_ray.scores.interval import Interval
    from ama_ray.scores.trial import Trial


@dataclass(frozen=True)
class Tile:
    """One number.

    Attributes:
        value: As people read it.
        interval: What it may be (95%), or empty where that is not known.
        words: What it is.
    """

    value: str
    interval: str
    words: str


def headline(run: StoredRun) -> list[Tile]:
    """How far the knee, and uniform averaging beside it, are from base to aligned; empty without a clear trade."""
    pareto = run.pareto
    top = None if run.stopping_test or pareto.no_trade else knee(pareto)
    if top is None or pareto.trade.above_line(top) <= 0:
        return []
    rewards, best, claims = rewards_of(pareto.objectives), best_uniform(pareto), run.claims
    tiles = [
        _tile(run, top, name, claims.knee, f"of the {reward_called(name)} that alignment won, kept by the knee")
        for name in rewards
    ]
    tiles.append(_tile(run, top, "tax", claims.knee, "of the tax that aligned pays, paid by the knee"))
    if best and best.number != top.number:
        averaging = "uniform averaging" if best.models == 1 else f"of the baseline, {best.title},"
        words = f"kept by the best {averaging} at no more tax"
        tiles += [_tile(run, best, name, claims.beside, f"of the {reward_called(name)} {words}") for name in rewards]
    return tiles


def _tile(run: StoredRun, trial: Trial, name: str, claims: Mapping[str, Interval], words: str) -> Tile:
    share, claim = run.pareto.trade.share(trial, name), claims.get(name)
    return Tile(f"{share:z.0%}", f"{claim.low:z.0%} to {claim.high:z.0%}" if claim else "", words)
