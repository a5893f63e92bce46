"""How much the trials of a search won: its hypervolume after each of them, and how much of it holds on other items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ama_ray.pareto.hypervolume import hypervolume, reference_point
from ama_ray.scores.metrics import METRICS
from ama_ray.scores.tokens import box, turned
from ama_ray.scores.trial import Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ama_ray.pareto.pareto_set import ParetoSet
    from ama_ray.scores.objectives import Items, Objectives
    from ama_ray.scores.trial import Trial

SPLITS = 100
"""How often the items are divided at random into two halves."""


@dataclass(frozen=True)
class Step:
    """Where a search stood.

    Attributes:
        trials: How many trials of the search had ended, stopped and failed ones included.
        hypervolume: Normalised hypervolume of their front on the search split, as the search saw it. A front of noisy
            values flatters itself: its points were chosen for the luck they had, too.
        held_out: The same without the flattery; see `SplitHalves`. NaN where items are not known.
    """

    trials: int
    hypervolume: float
    held_out: Estimate


class SplitHalves:
    """Trials on random halves of the items of the search split, the same halves for every trial.

    The front is chosen on one half, and its hypervolume is that of the chosen points on the other half (normalised by
    base and aligned there), so that a point that was lucky with the items it was chosen by gains nothing from it. This
    is repeated over random halves, each half choosing once. The mean over them estimates what the points of a front
    show on items that did not choose it, as the report does. Fewer items choose worse, and noise raises the
    hypervolume of several points that are close together on any items, a little where they are paired as here: on
    made-up searches whose truth is known, a half to two thirds of the flattery was gone.

    The standard deviation over halves is taken for the standard error: of a mean over items it is exactly the usual
    one, and of a repeated hold-out on halves it is Nadeau and Bengio's corrected one (2003, Inference for the
    generalization error). It also counts how differently the halves choose, and so is rather too wide: 1.96 of it to
    both sides held the true hypervolume of the chosen points in 93% to 98% of made-up searches and of resamples of a
    real one.

    Since all trials are seen on the same halves, most of that error cancels in what some of them gained.
    """

    def __init__(self, objectives: Objectives, seed: int = 0) -> None:
        """Divides the items, once they are known.

        Args:
            objectives: Of the run.
            seed: Of the halves.
        """
        self._objectives = objectives
        self._draw = np.random.default_rng(seed)
        self._masks: dict[str, NDArray[np.bool_]] = {}
        self._values: dict[int, NDArray[np.float64]] = {}

    def __contains__(self, number: int) -> bool:
        return number in self._values

    def add(self, number: int, items: Items) -> None:
        """Takes in a complete trial.

        Args:
            number: Of the trial.
            items: What it scored on the search split, item by item.
        """
        names, weights = self._objectives.names, self._objectives.weights()
        values = np.zeros((2, SPLITS, len(names)))
        for position, name in enumerate(names[:-1]):
            for i, scores in enumerate(self._objectives.by_prompt(name, items)):
                values[..., position] += self._on_halves(f"reward {name} {i}", "mean", scores[:, None])
        for term in self._objectives.probes:
            scores = self._on_halves(f"probe {term.name}", term.metric, items[term.name])
            # What base adds to the tax is the same for every trial.
            values[..., -1] += weights[term.name] * term.tax_of(scores, 0.0)
        self._values[number] = turned(names, values)

    def _on_halves(self, name: str, metric: str, items: NDArray[np.float64]) -> NDArray[np.float64]:
        """The score on both halves of every division, shape (2, divisions); NaN of a single item."""
        count = len(items)
        if name not in self._masks:
            order = np.broadcast_to(np.arange(count), (SPLITS, count))
            self._masks[name] = self._draw.permuted(order, axis=1) < count // 2
        mask = self._masks[name]
        halves = (mask, count // 2), (~mask, count - count // 2)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.array([METRICS[metric].of_sums(half @ items, size) for half, size in halves], dtype=np.float64)

    def volumes(self, pareto: ParetoSet, after: Sequence[int] | None = None) -> NDArray[np.float64]:
        """Hypervolume on one half of the front that the other half chose, after each of the trials or some.

        Which trials satisfy the constraints is decided by all items.

        Args:
            pareto: The search, on the search split, with a trade; all of its complete trials were added.
            after: After how many complete trials, rising; default: after each.

        Returns:
            Shape (len(after), 2 * divisions); NaN on halves without a trade between base and aligned.
        """
        names = pareto.objectives
        values = np.stack([self._values[trial.number] for trial in pareto.scored])
        values[..., -1] -= self._values[pareto.base.number][..., -1]
        # Each half chooses for the other one.
        choosing = values.reshape(len(values), 2 * SPLITS, -1) * ([1.0] * (len(names) - 1) + [-1.0])
        scored = values[:, ::-1].reshape(choosing.shape)
        at = {trial.number: position for position, trial in enumerate(pareto.scored)}
        base, aligned = scored[at[pareto.base.number]], scored[at[pareto.aligned.number]]
        empty = ~np.isfinite(choosing[at[pareto.base.number]]).all(axis=1)  # of a single item, one half is
        choosing[[at[trial.number] for trial in pareto.left_out]] = np.nan

        def volume(half: int, front: Sequence[int]) -> float:
            low, high = box(names, base[half], aligned[half])
            first, last = (dict(zip(names, turned(names, end).tolist(), strict=True)) for end in (low, high))
            reference = reference_point(first, last, pareto.worst)
            return hypervolume(scored[front, half], low, high, turned(names, [*reference.values()]))

        fronts: list[list[int]] = [[] for _ in range(2 * SPLITS)]
        now = np.array([volume(half, []) for half in range(2 * SPLITS)])
        now[empty] = np.nan
        volumes, changed = [], set()
        wanted = range(1, len(values) + 1) if after is None else after
        for last in range(len(values)):
            beaten = (choosing[:last] >= choosing[last]).all(axis=2).any(axis=0)
            for half in np.flatnonzero(~beaten & np.isfinite(choosing[last]).all(axis=1)):
                stay = [i for i in fronts[half] if not (choosing[last, half] >= choosing[i, half]).all()]
                fronts[half] = [*stay, last]
                changed.add(half)
            if last + 1 in wanted:
                for half in changed:
                    now[half] = volume(half, fronts[half])
                changed.clear()
                volumes.append(now.copy())
        return np.array(volumes)


def hypervolume_trace(
    pareto: ParetoSet,
    trials: Sequence[Trial],
    objectives: Objectives | None = None,
    items: Mapping[int, Items] | None = None,
) -> list[Step]:
    """Where a search stood after each of its trials, in the order of their numbers.

    In which order trials ended is not recorded; with several engines it differs by a few places.

    Args:
        pareto: The run, on the search split.
        trials: Those of the search: without twins and other trials that were scored on the report split only.
        objectives: Of the run; None where they are not known.
        items: Of every complete trial on the search split, by its number; None where they are not known.

    Returns:
        A step per trial; its hypervolumes are NaN until base and aligned are known, and without a trade between them.
    """
    searched = sorted(trials, key=lambda trial: trial.number)
    sets = [pareto.with_trials(searched[:count]) for count in range(1, len(searched) + 1)]
    unknown = [Estimate()] * len(sets)
    held_out = unknown if objectives is None or items is None else _held_out(sets, objectives, items)
    return [Step(n, each.hypervolume, found) for n, (each, found) in enumerate(zip(sets, held_out, strict=True), 1)]


def _held_out(sets: Sequence[ParetoSet], objectives: Objectives, items: Mapping[int, Items]) -> list[Estimate]:
    if not sets or sets[-1].no_trade:
        return [Estimate()] * len(sets)
    halves = SplitHalves(objectives)
    for trial in sets[-1].scored:
        halves.add(trial.number, items[trial.number])
    volumes = halves.volumes(sets[-1])
    return [Estimate() if each.no_trade else estimate(volumes[len(each.scored) - 1]) for each in sets]


def gain(pareto: ParetoSet, last: int, halves: SplitHalves) -> Estimate:
    """What the last trials added to the hypervolume of those before them, on items they were not chosen by.

    Without a gain in truth the estimate is around 0 or below, where the hypervolume that the search sees never falls.
    Its error is that of a difference on the same halves.

    Args:
        pareto: The search so far, on the search split, with a trade between base and aligned.
        last: How many of its complete trials, from the end of `pareto.scored`; fewer than all.
        halves: Has all of its complete trials.

    Returns:
        The gain in normalised hypervolume, 0 for no trials.
    """
    count = len(pareto.scored)
    volumes = halves.volumes(pareto, sorted({count - last, count}))
    return estimate(volumes[-1] - volumes[0])


def estimate(volumes: NDArray[np.float64]) -> Estimate:
    """Mean and standard deviation over halves, those without a trade left out; see `SplitHalves`."""
    known = volumes[np.isfinite(volumes)]
    return Estimate(float(known.mean()), float(known.std(ddof=1))) if len(known) > 1 else Estimate()
