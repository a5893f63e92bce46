"""Which points no other beats, and the volume they win. On plain arrays, by the algorithms of moocore."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import moocore  # type: ignore[import-untyped]
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray


def non_dominated(points: ArrayLike) -> NDArray[np.bool_]:
    """Marks the points that no other point beats.

    Args:
        points: Shape (points, objectives): the rewards, which are maximised, then the tax, which is minimised.

    Returns:
        True for each point such that no other has at least its rewards and at most its tax; of points that are equal
        in all, for the first. Points with a value that is not finite are never marked.
    """
    values = np.asarray(points, float)
    if not values.size:
        return np.zeros(len(values), np.bool_)
    mask: NDArray[np.bool_] = np.isfinite(values).all(axis=1)
    mask[mask] = moocore.is_nondominated(values[mask], maximise=_maximised(values.shape[1]))
    return mask


def hypervolume(points: ArrayLike, base: ArrayLike, aligned: ArrayLike, reference: ArrayLike | None = None) -> float:
    """The normalised hypervolume of points: what share of the trade between base and aligned they win.

    It is the volume of the region that the points dominate within rewards above the reference's and tax below it,
    divided by the volume of the box between the endpoints (base's rewards to aligned's, base's tax to aligned's). It
    is not clipped: points beyond an endpoint count with what they win, so it can exceed 1. The box is the same for
    every reference, so that volumes from different ones are in the same units.

    Args:
        points: Shape (points, objectives): the rewards, then the tax.
        base: The objectives of the base model; its tax is 0 by definition.
        aligned: The objectives of the aligned model.
        reference: What is no better than it in an objective wins nothing; by default base's rewards and aligned's tax.

    Returns:
        The share, or NaN where the box is empty: the aligned model does not raise a reward or costs no tax.
    """
    base, aligned = np.asarray(base, float), np.asarray(aligned, float)
    span = aligned - base
    if not (span > 0).all():
        return math.nan
    maximised = _maximised(len(span))
    corner = [*base[:-1], aligned[-1]] if reference is None else reference
    shares, ref = ((np.asarray(each, float) - base) / span for each in (np.reshape(points, (-1, len(span))), corner))
    shares = shares[np.isfinite(shares).all(axis=1)]
    return float(moocore.hypervolume(shares, ref=ref, maximise=maximised))


def non_dominated_each(sets: NDArray[np.float64]) -> NDArray[np.bool_]:
    """`non_dominated` of many sets of points at once, shape (sets, points, objectives); a mask (sets, points)."""
    if sets.shape[2] != 2:
        return np.array([non_dominated(points) for points in sets]).reshape(sets.shape[:2])
    known = np.isfinite(sets).all(axis=2)
    rewards, taxes = np.where(known, sets[..., 0], -np.inf), np.where(known, sets[..., 1], np.inf)
    # By rising tax, a point is beaten by none if its reward is above all before it.
    order = np.lexsort((-rewards, taxes), axis=1)
    rising = np.take_along_axis(rewards, order, axis=1)
    before = np.pad(np.maximum.accumulate(rising, axis=1)[:, :-1], ((0, 0), (1, 0)), constant_values=-np.inf)
    mask = np.zeros(known.shape, np.bool_)
    np.put_along_axis(mask, order, rising > before, axis=1)
    return mask


def hypervolumes(sets: NDArray[np.float64], references: NDArray[np.float64]) -> NDArray[np.float64]:
    """The volume that each of many sets of points dominates, in their own units.

    Args:
        sets: Shape (sets, points, objectives): the rewards, then the tax; points that are not finite win nothing.
        references: From which each counts, shape (sets, objectives).

    Returns:
        Shape (sets,).
    """
    if sets.shape[2] != 2:
        maximised = _maximised(sets.shape[2])
        known = (points[np.isfinite(points).all(axis=1)] for points in sets)
        pairs = zip(known, references, strict=True)
        return np.array([float(moocore.hypervolume(p, ref=ref, maximise=maximised)) for p, ref in pairs])
    won = sets - references[:, None]
    wins = np.isfinite(won).all(axis=2) & (won[..., 0] > 0) & (won[..., 1] < 0)
    height, left = np.where(wins, won[..., 0], 0.0), np.where(wins, won[..., 1], 0.0)
    order = np.argsort(left, axis=1)
    height, left = (np.take_along_axis(each, order, axis=1) for each in (height, left))
    right = np.pad(left[:, 1:], ((0, 0), (0, 1)))
    return np.asarray((np.maximum.accumulate(height, axis=1) * (right - left)).sum(axis=1))


def reference_point(
    base: Mapping[str, float], aligned: Mapping[str, float], named: Mapping[str, float]
) -> dict[str, float]:
    """The point from which hypervolume counts, in the order of the objectives.

    Args:
        base: The objectives of the base model, by name.
        aligned: Those of the aligned model.
        named: What the run file says; an objective that it does not name has base's reward or aligned's tax.
    """
    return {name: named.get(name, (aligned if name == "tax" else base)[name]) for name in base}


def _maximised(objectives: int) -> list[bool]:
    return [True] * (objectives - 1) + [False]
