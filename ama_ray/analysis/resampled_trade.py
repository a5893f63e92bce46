"""`ResampledTrade`: the trials of a run between base and aligned, on their items and on resamples of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ama_ray.analysis.bootstrap import resample
from ama_ray.pareto.hypervolume import hypervolumes, non_dominated_each
from ama_ray.scores.interval import Interval
from ama_ray.scores.tokens import box, turned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ama_ray.pareto.pareto_set import ParetoSet
    from ama_ray.scores.objectives import Items, Objectives

    Array = NDArray[np.float64]
    Choice = NDArray[np.intp]


class ResampledTrade:
    """Trials on resampled items, the same ones for all trials, as shares of the way from base to aligned.

    What is said of a point that was chosen for its scores is too good, on the average (the winner's curse). In every
    resample all is chosen anew, and what it says there of its choice is compared with what the items as they are say of
    the same choice: by as much the items may have fooled us. This is the bootstrap's estimate of optimism (Efron 1983,
    Estimating the error rate of a prediction rule; Efron and Tibshirani 1993, An Introduction to the Bootstrap, section
    17.6), with percentiles besides the mean. As the values as they are stand in for the truth, and are themselves
    spread by noise, it is approximate; `benchmarks.front.claims` has what the intervals cover.

    Attributes:
        numbers: Of the trials, in the order of the arrays.
        drawn: Objectives on every resample, shape (resamples, trials, objectives); base's tax is 0, and tokens are
            `turned`.
        known: The same on the items as they are, shape (trials, objectives).
    """

    def __init__(
        self, pareto: ParetoSet, objectives: Objectives, items: Mapping[int, Items], *, resamples: int, seed: int
    ) -> None:
        """Resamples.

        Args:
            pareto: The run on one split.
            objectives: Of the run.
            items: Of every trial among `pareto.scored` on that split, by its number.
            resamples: How many.
            seed: Of the resampling.
        """
        trials = pareto.scored
        self.numbers = [trial.number for trial in trials]
        left_out = {trial.number for trial in pareto.left_out}
        uniform = {trial.number for trial in pareto.baseline} - left_out
        self._allowed = np.array([t.origin != "twin" and t.number not in left_out for t in trials])
        self._uniform = np.array([number in uniform for number in self.numbers])
        self._undecided = np.array([number in uniform & pareto.undecided for number in self.numbers])
        models = resample(objectives, [items[number] for number in self.numbers], seed=seed, resamples=resamples)
        names = pareto.objectives
        self._names = names
        values = np.stack([np.stack([model.objectives[name] for name in names], axis=-1) for model in models], axis=1)
        values = turned(names, values)
        self._base = 0
        if "base" in pareto.trade.ends:
            self._base = self.numbers.index(pareto.base.number)
            values[..., -1] -= values[:, [self._base], -1]
        self.known, self.drawn = values[0], values[1:]
        self._shares: tuple[Array, Array] | None = None
        if not pareto.no_trade:
            self._aligned = self.numbers.index(pareto.aligned.number)
            shares = self._between(values)
            worst = turned(names, [pareto.worst.get(name, np.nan) for name in names])
            base, span = self._box(values[:, self._base], values[:, self._aligned])
            self._references = np.where(np.isnan(worst), [0.0] * (len(names) - 1) + [1.0], (worst - base) / span)
            # Where a resample has no box, it says nothing.
            self._boxed = np.asarray((span > 0).all(axis=1))[1:]
            self._shares = shares[0], shares[1:]

    def on_front(self) -> dict[int, float]:
        """By trial, the share of the resamples in which no other one beats it."""
        known = self.drawn[np.isfinite(self.drawn).all(axis=(1, 2))]  # none, where a source has a single item
        masks = non_dominated_each(np.where(self._allowed[:, None], known, np.nan))
        shares = masks.mean(axis=0).tolist() if len(known) else [np.nan] * len(self.numbers)
        return dict(zip(self.numbers, shares, strict=True))

    def volumes(self) -> tuple[Interval, Interval, Interval]:
        """Hypervolume of the front, of the uniform front, and their difference: what the points of them truly win."""
        front, uniform = self._volume(self._allowed), self._volume(self._uniform)
        return _both(*front), _both(*uniform), _both(front[0] - uniform[0], *_minus(front[1:], uniform[1:]))

    def volume_of(self, numbers: Sequence[int]) -> Interval:
        """Hypervolume of points that other items have chosen."""
        inside = np.isin(self.numbers, numbers) & self._allowed
        value, says = self._says(inside)
        with np.errstate(divide="ignore", invalid="ignore"):
            return Interval.of_draws(value, value * value / says)

    def _box(self, base: Array, aligned: Array) -> tuple[Array, Array]:
        """The corner from which shares count, and what a share of 1 is, shape (..., objectives)."""
        low, high = box(self._names, base, aligned)
        return low, high - low

    def knee_minus(self, knee: int, other: int) -> list[Interval]:
        """How much more of every objective the knee has than a trial that was not chosen for its scores.

        Tokens are `turned`: it is how many fewer of them.

        Args:
            knee: The position of the knee on the items as they are.
            other: That of the other trial.
        """
        assert self._shares
        errors = self.drawn - self.known
        value = self.known[knee] - self.known[other]
        anew = errors[np.arange(len(errors)), self._knees(self._shares[1])]
        draws = [value - (chosen - errors[:, other]) for chosen in (anew, errors[:, knee])]
        return [_both(float(value[i]), *(each[:, i] for each in draws)) for i in range(len(value))]

    def shares_at_knee(self, knee: int, uniform: int | None) -> tuple[list[Interval], list[Interval], Interval]:
        """How far the knee is from base to aligned in every objective; the same of the uniform point beside it.

        Args:
            knee: The position of the knee on the items as they are.
            uniform: The position of the uniform point with the highest reward at no more tax; None without one.

        Returns:
            Intervals by objective of the knee, those of the uniform point (none without one), and how much more of the
            reward than that the knee has, as a share of what aligned won, the mean over the rewards.
        """
        assert self._shares
        drawn = self._shares[1]
        knees = self._knees(drawn)
        at = np.arange(len(drawn))
        beside = np.zeros(len(drawn), np.intp) if uniform is None else self._best_uniform(drawn, drawn[at, knees, -1])
        chosen = knee, uniform if uniform is not None else self._base
        anew = self._plausible(chosen, (knees, beside))
        same = self._plausible(chosen, tuple(np.full(len(drawn), each) for each in chosen))
        value = self._shares[0]

        def shares(part: int) -> list[Interval]:
            return [_both(float(value[chosen[part], i]), anew[:, part, i], same[:, part, i]) for i in range(count)]

        count = drawn.shape[2]
        if uniform is None:
            return shares(0), [], Interval(np.nan, np.nan, np.nan)
        more = [draws[:, 0, :-1].mean(axis=1) - draws[:, 1, :-1].mean(axis=1) for draws in (anew, same)]
        gain = float(value[chosen[0], :-1].mean() - value[chosen[1], :-1].mean())
        return shares(0), shares(1), _both(gain, *more)

    def _plausible(self, chosen: tuple[int, int], errors_of: tuple[Choice, ...]) -> Array:
        """Shares of the points that were chosen, less what resampling has shown others to be wrong by.

        Returns:
            Shape (resamples with a box, points, objectives).
        """
        at = np.arange(len(self.drawn))
        ends = np.full(len(at), self._base), np.full(len(at), self._aligned)
        points = (self._base, *chosen, self._aligned)
        errors = [self.drawn[at, each] - self.known[each] for each in (ends[0], *errors_of, ends[1])]
        values = np.stack([self.known[p] - error for p, error in zip(points, errors, strict=True)], axis=1)
        base, span = self._box(values[:, :1], values[:, -1:])
        boxed = (span > 0).all(axis=(1, 2))
        return np.asarray(((values - base)[boxed] / span[boxed])[:, 1:-1])

    def _volume(self, among: NDArray[np.bool_]) -> tuple[float, Array, Array]:
        """The hypervolume of a front chosen among some trials; what is plausible of it, by resample.

        Every resample chooses a front, and says too much of it, by so many times what the items as they are say of the
        same points. Hypervolumes are ratios, and so are their errors. Uniform points that are undecided are on every
        front.

        Returns:
            The hypervolume, then draws by the fronts chosen anew, then by the front that was chosen.
        """
        assert self._shares
        stay = among & self._undecided
        chosen = non_dominated_each(np.where(among[:, None], self._shares[1], np.nan)[self._boxed]) | stay
        known = np.broadcast_to(self._shares[0], (*chosen.shape, self._shares[0].shape[1]))
        truly = self._hypervolumes(np.where(chosen[..., None], known, np.nan), self._references[:1])
        value, says = self._says(among)
        (front,) = non_dominated_each(np.where(among[:, None], self._shares[0], np.nan)[None])
        with np.errstate(divide="ignore", invalid="ignore"):
            return value, _less(value, says / truly), _less(value, self._says(front | stay)[1] / value)

    def _says(self, among: NDArray[np.bool_]) -> tuple[float, Array]:
        """The hypervolume of some trials on the items as they are, and on every resample with a box."""
        assert self._shares
        points = np.where(among[:, None], self._shares[0], np.nan)
        drawn = np.where(among[:, None], self._shares[1], np.nan)[self._boxed]
        value = self._hypervolumes(points[None], self._references[:1])
        return float(value[0]), self._hypervolumes(drawn, self._references[1:][self._boxed])

    @staticmethod
    def _hypervolumes(sets: Array, references: Array) -> Array:
        return hypervolumes(sets, np.broadcast_to(references, (len(sets), references.shape[1])))

    def _between(self, values: Array) -> Array:
        base, span = self._box(values[:, [self._base]], values[:, [self._aligned]])
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((values - base) / span)

    def _knees(self, shares: Array) -> Choice:
        """The points farthest above the line from base to aligned, shape (sets,)."""
        above = shares[..., :-1].mean(axis=2) - shares[..., -1]
        return np.asarray(np.where(self._allowed & np.isfinite(above), above, -np.inf).argmax(axis=1))

    def _best_uniform(self, shares: Array, taxes: Array) -> Choice:
        affordable = self._uniform & (shares[..., -1] <= taxes[:, None])
        return np.asarray(np.where(affordable, shares[..., :-1].mean(axis=2), -np.inf).argmax(axis=1))


def _less(value: float, times: Array) -> Array:
    """What is plausible of a value that says so many times too much; of 0, as of base and aligned alone, only 0."""
    if value == 0:
        return np.zeros(len(times))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(value / times)


def _minus(ours: Sequence[Array], theirs: Sequence[Array]) -> list[Array]:
    with np.errstate(invalid="ignore"):  # of two that are infinite, where a resample has no box
        return [one - other for one, other in zip(ours, theirs, strict=True)]


def _both(value: float, anew: Array, same: Array) -> Interval:
    """The interval that holds those of two kinds of draws: by what was chosen anew, and by what was chosen.

    The first knows the winner's curse, and corrects a little too much where points are close together; the second does
    not correct.
    """
    first, second = (Interval.of_draws(value, draws) for draws in (anew, same))
    return Interval(value, min(first.low, second.low), max(first.high, second.high))
