"""`FutilityStopper`: ends trials that would add next to nothing to the front, on a part of the items."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from ray.tune import Stopper

from ama_ray.pareto.hypervolume import hypervolume
from ama_ray.scores.tokens import box, turned
from ama_ray.tuning.trial_records import TrialResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ama_ray.pareto.pareto_set import ParetoSet
    from ama_ray.scores.trial import Estimate
    from ama_ray.tuning.recorder import Recorder

TOLERATED = 0.02
"""Hypervolume, as a share of the box between base and aligned, that a whole run may be expected to lose at most."""
DRAWS = 128


class FutilityStopper(Stopper):
    """Stops a trial once the hypervolume that its remaining items could add is expected to be negligible.

    What the trial will score is estimated from the items that it has seen (`ama_ray.tuning.stopping.estimates`). The
    expected gain in hypervolume under these normal distributions is what the trial could still be worth; below its
    share of what a run may lose, the trial is stopped. This only decides: the recorder gives the stopped trial its
    estimates.

    With constraints, the front is that of the trials that satisfy them, and a trial adds nothing where it breaks a
    bound on an objective. Bounds on probes and families stop no trial.
    """

    def __init__(self, recorder: Recorder) -> None:
        """Watches a run.

        Args:
            recorder: Knows the run with what has finished, and estimates what an unfinished trial will score.
        """
        self._recorder = recorder
        self._worth_it = TOLERATED / recorder.run.config.trials

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Decides whether to stop a trial."""
        found = TrialResult.from_tune(result)
        if found.state is not None:
            return False
        pareto = self._recorder.run.searched_pareto
        if pareto.no_trade:
            return False
        return self._expected_gain(self._recorder.estimate(found).objectives, pareto) < self._worth_it

    def stop_all(self) -> bool:
        """Returns False: a hopeless trial does not end the run."""
        return False

    def _expected_gain(self, estimates: Mapping[str, Estimate], pareto: ParetoSet) -> float:
        """Expected gain in normalised hypervolume, by Monte Carlo with the same random numbers for all trials."""
        names = pareto.objectives
        normal = np.random.default_rng(0).standard_normal((DRAWS, len(names)))
        mean, se = (np.array([getattr(estimates[name], part) for name in names]) for part in ("value", "se"))
        if not np.isfinite([*mean, *se]).all():
            return math.inf
        front, ends = (
            turned(names, [[trial.objectives[name].value for name in names] for trial in trials])
            for trials in (pareto.front, [pareto.base, pareto.aligned])
        )
        base, aligned = box(names, *ends)
        reference = turned(names, [*pareto.reference.values()])
        draws, allowed = mean + normal * se, np.ones(DRAWS, np.bool_)
        for name in pareto.constraints.bounds.keys() & set(names):
            allowed &= pareto.constraints.excess(name, draws[:, names.index(name)]) <= 0
        with_each = [hypervolume([*front, draw], base, aligned, reference) for draw in turned(names, draws[allowed])]
        return math.fsum(volume - pareto.hypervolume for volume in with_each) / DRAWS
