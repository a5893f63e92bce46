"""The baseline of a search: merges that have the same shares of the aligned models in all groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ama_ray.config.report import BASELINE_RATIOS, FIRST_RATIOS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Shares = tuple[float, ...]


def average(ratio: float, models: int, among: Sequence[int] | None = None) -> Shares:
    """A ratio that is divided evenly among models: all of them, or those with these positions."""
    chosen = range(models) if among is None else among
    return tuple(ratio / len(chosen) if model in chosen else 0.0 for model in range(models))


def first_shares(models: int, *, whole: bool) -> list[Shares]:
    """What every search starts from: base, each aligned model alone, and half of the way to their equal average.

    Args:
        models: How many aligned models there are.
        whole: Whether the others of the way from base to the equal average are to follow.
    """
    if models == 1:
        ratios = dict.fromkeys((*FIRST_RATIOS, *(BASELINE_RATIOS if whole else ())))
        return [(ratio,) for ratio in ratios]
    alone = [average(1.0, models, [model]) for model in range(models)]
    ways = [average(ratio, models) for ratio in (FIRST_RATIOS[-1], *(BASELINE_RATIOS if whole else ()))]
    return list(dict.fromkeys([average(0.0, models), *alone, *ways]))


def last_steps(models: int) -> list[Shares]:
    """The averages of the last of the models that are steps of one run: of two, three and so on, but not of all."""
    return [average(1.0, models, range(models - last, models)) for last in range(2, models)]


def ways_to(model: int, models: int) -> Iterator[Shares]:
    """The points between base and one aligned model."""
    return (average(ratio, models, [model]) for ratio in BASELINE_RATIOS[1:-1])
