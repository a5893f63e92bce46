"""What a run scores whatever its search finds, and what it scores again."""

from __future__ import annotations

from pydantic import Field

from ama_ray.config.fields import Model

BASELINE_RATIOS = tuple(i / 10 for i in range(11))
"""The uniform ratios every run scores on the report split: base (0), nine points between, aligned (1)."""
FIRST_RATIOS = (0.0, 1.0, 0.5)
"""Those of them that every search starts from: enough for a model of the rest, which would take trials from it."""


class Report(Model):
    """What is scored again, after the search, on items that the search never saw."""

    share: float = Field(0.5, gt=0, lt=1, description="of the items of a file that has no report_file beside it")
    samples: int = Field(2, ge=1, description="times as many replies per prompt as in the search")
    points: int = Field(
        10, ge=1, description="most points besides the uniform ones: the front, then those that could be on it"
    )


def firsts(models: int) -> int:
    """How many points of the baseline every search starts from, with so many aligned models."""
    return len(FIRST_RATIOS) if models == 1 else models + 2


def baselines(models: int, *, steps: bool) -> int:
    """The most points of the baseline on the report split.

    With several aligned models these are base to their equal average, each alone, base to the best one, and soups.

    Args:
        models: How many there are.
        steps: Whether they are steps of one run, of which the last are averaged besides.
    """
    ways = len(BASELINE_RATIOS)
    return ways if models == 1 else ways + models + (ways - 2) + (models - 1) + (models - 2) * steps
