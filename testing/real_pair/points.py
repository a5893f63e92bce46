"""Which merges the table has: uniform ones, smooth profiles over depth, and uniform ones with a few layers changed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

UNIFORM = 6
PROFILES = 50
BLOCK = 4
"""Neighbouring groups that are changed together."""
WAVES = 4
"""Cosines over depth of which a profile is made, besides its mean."""


@dataclass(frozen=True)
class Point:
    """One merge.

    Attributes:
        name: Also that of its file.
        ratios: One per group, from the embeddings to the head.
    """

    name: str
    ratios: tuple[float, ...]


def points(groups: int, seed: int = 0) -> list[Point]:
    """All points: the uniform ones first, then of the other two sorts in turn, so that any first part has all sorts.

    Args:
        groups: How many ratios there are.
        seed: Of the profiles.
    """
    uniform = [Point(f"uniform-{ratio:.1f}", (float(ratio),) * groups) for ratio in np.linspace(0, 1, UNIFORM)]
    rest = chain.from_iterable(zip_longest(profiles(groups, seed), blocks(groups)))
    # Base and aligned first: with them the others have a meaning.
    return [uniform[0], uniform[-1], *uniform[1:-1], *(point for point in rest if point is not None)]


def profiles(groups: int, seed: int) -> Iterator[Point]:
    """Random smooth profiles: a mean, and cosines over depth whose heights fall with their frequency, cut to [0, 1]."""
    generator = np.random.default_rng(seed)
    depth = (np.arange(groups) + 0.5) / groups
    waves = np.cos(np.pi * np.arange(1, WAVES + 1)[:, None] * depth)
    for number in range(PROFILES):
        heights = generator.normal(0, 0.5, WAVES) / np.sqrt(np.arange(1, WAVES + 1))
        ratios = np.clip(generator.uniform(0.1, 0.9) + heights @ waves, 0, 1).round(3)
        yield Point(f"profile-{number:02}", tuple(ratios.tolist()))


def blocks(groups: int) -> Iterator[Point]:
    """A half everywhere, but neighbouring groups at base or at aligned."""
    for start in range(0, groups, BLOCK):
        for ratio in (0.0, 1.0):
            ratios = [0.5] * groups
            ratios[start : start + BLOCK] = [ratio] * len(ratios[start : start + BLOCK])
            yield Point(f"block-{start:02}-{ratio:.0f}", tuple(ratios))
