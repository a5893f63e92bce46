"""`ParetoSet`: the front of trials on one split, its hypervolume, and the choice of one of its points."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from ama_ray.errors import UserError
from ama_ray.pareto import picks
from ama_ray.pareto.hypervolume import hypervolume, non_dominated, reference_point
from ama_ray.pareto.trade import Trade
from ama_ray.scores.constraints import Constraints
from ama_ray.scores.tokens import box, turned

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from ama_ray.config import Split
    from ama_ray.scores.interval import Interval
    from ama_ray.scores.trial import Trial


class ParetoSet:
    """The front of trials on one split, with everything that was tried. Iterating goes over the front.

    Only complete trials count: one that was stopped on a part of the items is on no front.

    Attributes:
        trials: Every trial as it was recorded, failed and stopped ones included.
        constraints: What trials of the front satisfy.
        worst: The worst values that are worth anything, by objective; base's rewards and aligned's tax where it names
            none.
        split: Whose scores everything below is made from; its trials are seen on that split.
        objectives: Names: those of the rewards, maximised, then `tax`, minimised.
        scored: The complete trials with scores on the split.
        left_out: Those `scored` that break a constraint on the split, and so are on no front; no twins.
        front: The trials among the rest that no other of them beats in the objectives, and the uniform ones that none
            beats beyond doubt, by rising tax; of trials with identical objectives, the first. A twin is not on it: it
            was chosen by what the front is, for a comparison with a point of it.
        unbeaten: The trials of the front that no other beats (and so, with a single reward, by rising reward).
        undecided: The numbers of the baseline trials that none beats beyond doubt, as far as that is known.
        baseline: The baseline trials; twins are not among them, so that both splits have the same.
        uniform: The ones among these from base to aligned, or to the equal average of several aligned models, by rising
            ratio.
        uniform_front: The ones among `baseline` that satisfy the constraints and, as those of the front, that no other
            of them beats, or none of all trials beyond doubt, by rising tax.
        trade: Base and aligned, and what lies between.
        no_front: Why the front is empty: no trial is complete, or none satisfies the constraints; else empty.
        no_trade: `Trade.why_none`. Without a trade there is no hypervolume and no knee.
    """

    def __init__(
        self,
        trials: Sequence[Trial],
        constraints: Constraints | None = None,
        worst: Mapping[str, float] | None = None,
        split: Split = "search",
        won: Mapping[str, Interval] | None = None,
        *,
        undecided: Collection[int] = (),
    ) -> None:
        """Makes the front of trials.

        Args:
            trials: All of a run.
            constraints: Of the run file.
            worst: Its `reference`.
            split: Whose scores count.
            won: What aligned won and lost against base on this split, where that is known item by item; see
                `Trade.between`.
            undecided: Numbers of the uniform trials that no other one beats beyond doubt on this split, where that is
                known item by item; see `ama_ray.analysis.domination`.
        """
        self.trials = tuple(trials)
        self.constraints = Constraints() if constraints is None else constraints  # without bounds, it is false
        self.worst = dict(worst or {})
        self.split = split
        self._won = won
        self.undecided = frozenset(undecided)
        seen = [trial.seen_on(self.split) for trial in self.trials if trial.state == "complete"]
        self.scored = tuple(trial for trial in seen if trial.scores)
        self.objectives = next((tuple(trial.objectives) for trial in self.scored), ("reward", "tax"))
        searched = [trial for trial in self.scored if trial.origin != "twin"]
        self.left_out = tuple(trial for trial in searched if not self._satisfies(trial))
        self.front, self.unbeaten = self._front(searched)
        self.baseline = tuple(trial for trial in self.scored if trial.origin == "baseline")
        uniform = [trial for trial in self.baseline if trial.uniform_ratio is not None]
        self.uniform = tuple(sorted(uniform, key=lambda trial: trial.uniform_ratio or 0.0))
        others = [trial for trial in self.baseline if trial.uniform_ratio is None]
        self.uniform_front, _ = self._front([*self.uniform, *others])
        self.trade = Trade.between(self.baseline, self.objectives, won)
        self.no_front = "" if self.front else self._why_no_front()
        self.no_trade = self.trade.why_none

    def with_trials(self, trials: Sequence[Trial]) -> ParetoSet:
        """The front of other trials, under the same constraints, from the same reference point, on the same split."""
        return ParetoSet(trials, self.constraints, self.worst, self.split, self._won, undecided=self.undecided)

    def with_undecided(self, numbers: Collection[int]) -> ParetoSet:
        """The same with these uniform trials on its front, too, as far as they satisfy the constraints."""
        return ParetoSet(self.trials, self.constraints, self.worst, self.split, self._won, undecided=numbers)

    @cached_property
    def hypervolume(self) -> float:
        """Normalised hypervolume of the front, from `reference` on; NaN where `no_trade` says why.

        `ama_ray.pareto.hypervolume.hypervolume` defines it. It is never below the uniform one, as the baselines are
        trials.
        """
        return self.hypervolume_of(self.front)

    @cached_property
    def uniform_hypervolume(self) -> float:
        """Normalised hypervolume of `uniform_front`; NaN where `no_trade` says why."""
        return self.hypervolume_of(self.uniform_front)

    def __iter__(self) -> Iterator[Trial]:
        return iter(self.front)

    def __len__(self) -> int:
        return len(self.front)

    def __repr__(self) -> str:
        volumes = f"hypervolume {self.hypervolume:.3f}, uniform {self.uniform_hypervolume:.3f}"
        counts = f"{len(self)} of {len(self.trials)} trials on the front, {self.split} split"
        return f"<ParetoSet: {counts}; {self.no_trade or volumes}>"

    @property
    def base(self) -> Trial:
        """The uniform trial at ratio 0.

        Raises:
            UserError: It failed, or has not run yet.
        """
        return self.trade.base

    @property
    def aligned(self) -> Trial:
        """The uniform trial at ratio 1.

        Raises:
            UserError: It failed, or has not run yet.
        """
        return self.trade.aligned

    @property
    def reference(self) -> dict[str, float]:
        """The point from which hypervolume counts, by objective.

        That is `worst`, else base's rewards, aligned's tax, and the tokens of the one of both that says more.

        Raises:
            UserError: Base or aligned has no complete trial.
        """
        base, aligned = (turned(self.objectives, end).tolist() for end in self._box())
        low, high = (dict(zip(self.objectives, end, strict=True)) for end in (base, aligned))
        return reference_point(low, high, self.worst)

    def hypervolume_of(self, trials: Sequence[Trial]) -> float:
        """The normalised hypervolume of some trials of the run, seen on this split; NaN without a trade.

        Trials that break a constraint win nothing.
        """
        if self.no_trade:
            return math.nan
        points = [self._values(trial) for trial in trials if self._satisfies(trial)]
        base, aligned = self._box()
        return hypervolume(points, base.tolist(), aligned.tolist(), turned(self.objectives, [*self.reference.values()]))

    def pick(
        self,
        how: Literal["knee"] | None = None,
        *,
        max_tax: float | None = None,
        min_reward: float | Mapping[str, float] | None = None,
        near: Mapping[str, float] | None = None,
        max_tokens: float | None = None,
    ) -> Trial:
        """Picks one point of the front that no other beats.

        `max_tokens` leaves the points with at most so many tokens per reply. Of these, `max_tax` alone picks the
        highest reward with at most that tax; with more than two objectives, the largest `Trade.gain`. `min_reward`
        alone picks the least tax with at least that reward. `near` picks, of the points that the constraints leave, the
        nearest to a wish, where base and aligned are 1 apart in each objective. All else picks the knee of those
        points: the one farthest above the line from base to aligned (`Trade.above_line`); of equals the one with less
        tax.

        Args:
            how: `knee`, also under one constraint.
            max_tax: In points of the metrics (0-1): 0.02 is two points out of a hundred.
            min_reward: In units of the reward; by name where there are several: `{"helpful": 3.0}`.
            near: Values by objective: `{"reward": 3.8, "tax": 0.05}`; an objective that it leaves out does not count.
            max_tokens: Mean tokens per reply, of the reward or probe that `tokens` counts.

        Raises:
            UserError: No point satisfies the constraints, no trial is complete, an objective is unknown, or a gain, a
                distance or a knee is asked for where there is nothing to trade (`no_trade`).
        """
        if self.no_front:
            raise UserError(f"{self.no_front}, so there is no front to pick from.")
        front = picks.short(self.unbeaten, self.constraints.tokens_of, max_tokens)
        return picks.pick(front, self.trade, how, max_tax, min_reward, near)

    def to_pandas(self) -> pd.DataFrame:
        """The front as a data frame: a row per point by rising tax, the columns of `trials.csv`.

        All trials are `pandas.read_csv("trials.csv")` in the folder of the run.
        """
        import pandas as pd

        return pd.DataFrame([trial.to_row() for trial in self.front])

    def _satisfies(self, trial: Trial) -> bool:
        return trial.scores is not None and self.constraints.satisfied(trial.scores)

    def _values(self, trial: Trial) -> NDArray[np.float64]:
        return turned(self.objectives, [trial.objectives[name].value for name in self.objectives])

    def _box(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return box(self.objectives, self._values(self.base), self._values(self.aligned))

    def _front(self, trials: Sequence[Trial]) -> tuple[tuple[Trial, ...], tuple[Trial, ...]]:
        """The front of some trials, and those of it that no other beats."""
        # Of equal tax, which several rewards allow, the highest first reward comes first.
        allowed = sorted((trial for trial in trials if self._satisfies(trial)), key=lambda t: (t.tax, -t.reward))
        mask = non_dominated([self._values(trial) for trial in allowed]).tolist()
        marked = list(zip(allowed, mask, strict=True))
        front = tuple(trial for trial, unbeaten in marked if unbeaten or trial.number in self.undecided)
        return front, tuple(trial for trial, unbeaten in marked if unbeaten)

    def _why_no_front(self) -> str:
        """Why no trial is on the front, with the trial that is nearest to it."""
        if not self.left_out:
            return "No trial is complete"
        constraints = self.constraints
        violations = {t.number: constraints.violations(t.scores) for t in self.left_out if t.scores}
        # Rewards and taxes differ in size: each is measured by how far the trials are apart in it.
        reach = {name: _spread([each[name] for each in violations.values()]) for name in constraints.bounds}

        def distance(trial: Trial) -> float:
            return max(math.inf if math.isnan(v) else v / reach[name] for name, v in violations[trial.number].items())

        nearest = min(self.left_out, key=distance)
        assert nearest.scores is not None
        estimates = constraints.estimates(nearest.scores)
        by = [
            f"{name} {estimates[name].value:.4g} ± {estimates[name].se:.2g}, {violation:.2g} beyond the bound"
            for name, violation in violations[nearest.number].items()
            if not violation <= 0
        ]
        return f"No trial satisfies {constraints}; the nearest is trial {nearest.number} ({'; '.join(by)})"


def _spread(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return (max(known) - min(known) if known else 0.0) or 1.0
