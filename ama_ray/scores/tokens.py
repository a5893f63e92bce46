"""`tokens`, the mean number of tokens per reply, as an objective: the only one besides the tax that is minimised.

Code on arrays takes all objectives but the last one, the tax, for maximised. There, tokens stand with a minus. They are
measured not by the distance of base and aligned, which may be nothing, but by all the tokens of the one of both that
says more: a share of 0 is as many, a share of 1 is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

TOKENS = "tokens"
TAX = "tax"


def minimised(name: str) -> bool:
    """Whether less of an objective is better."""
    return name in (TOKENS, TAX)


def rewards_of(objectives: Sequence[str]) -> tuple[str, ...]:
    """The names of the rewards among the objectives."""
    return tuple(name for name in objectives if not minimised(name))


def turned(objectives: Sequence[str], values: ArrayLike) -> Array:
    """Values, shape (..., objectives), with a minus before tokens; twice, they are as they were."""
    return np.asarray(values, float) * [-1.0 if name == TOKENS else 1.0 for name in objectives]


def box(objectives: Sequence[str], base: ArrayLike, aligned: ArrayLike) -> tuple[Array, Array]:
    """Two corners of the box in which a trade is measured, from turned values, shape (..., objectives).

    Returns:
        Base and aligned; of tokens, the more of both in the place of base's, and none in the place of aligned's.
    """
    tokens = np.array([name == TOKENS for name in objectives])
    low, high = np.asarray(base, float), np.asarray(aligned, float)
    return np.where(tokens, np.minimum(low, high), low), np.where(tokens, 0.0, high)
