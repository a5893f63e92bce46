"""Two objectives: which points no other beats, and the area they win. On plain arrays."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def non_dominated(rewards: ArrayLike, taxes: ArrayLike) -> NDArray[np.bool_]:
    """Marks the points that no other point beats: reward is maximised, tax minimised.

    Args:
        rewards: One per point.
        taxes: One per point.

    Returns:
        True for each point such that no other has at least its reward and at most its tax; of points that are equal
        in both, for the first. Points with a value that is not finite are never marked.
    """
    reward, tax = np.asarray(rewards, float), np.asarray(taxes, float)
    mask = np.zeros(reward.shape, np.bool_)
    # By rising tax, then falling reward, then position: a point is beaten only by one before it.
    order = np.lexsort((-reward, tax))
    order = order[np.isfinite(reward[order]) & np.isfinite(tax[order])]
    best_before = np.maximum.accumulate(np.concatenate(([-np.inf], reward[order])))[:-1]
    mask[order] = reward[order] > best_before
    return mask


def hypervolume(rewards: ArrayLike, taxes: ArrayLike, base: tuple[float, float], aligned: tuple[float, float]) -> float:
    """The normalised hypervolume of points: what share of the trade between base and aligned they win.

    It is the area of the region that the points dominate within reward above base's and tax below aligned's, divided
    by the area of the box between the endpoints (base's reward to aligned's, base's tax to aligned's). It is not
    clipped: points beyond an endpoint count with what they win, so it can exceed 1.

    Args:
        rewards: One per point.
        taxes: One per point.
        base: Reward and tax of the base model; its tax is 0 by definition.
        aligned: Reward and tax of the aligned model.

    Returns:
        The share, or NaN where the box is empty: the aligned model does not raise the reward or costs no tax.
    """
    gain, cost = aligned[0] - base[0], aligned[1] - base[1]
    if not (gain > 0 and cost > 0):
        return math.nan
    reward, tax = np.asarray(rewards, float), np.asarray(taxes, float)
    mask = non_dominated(reward, tax) & (reward > base[0]) & (tax < aligned[1])
    rising = np.sort(reward[mask])
    heights = np.diff(rising, prepend=base[0])
    # On a front, tax rises with reward, so sorting each keeps the pairs together.
    return float(np.sum(heights * (aligned[1] - np.sort(tax[mask]))) / (gain * cost))
