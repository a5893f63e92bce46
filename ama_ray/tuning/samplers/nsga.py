"""NSGA-II and NSGA-III that start from the first points of a run."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseGASampler, NSGAIIISampler, NSGAIISampler

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

    from ama_ray.tuning.samplers.context import SamplerContext

MOST = 50
"""Optuna's own size of a population, for hundreds of trials."""
FEWEST = 10
GENERATIONS = 4
"""That a search should see at least."""


class _Inheriting(BaseGASampler):
    """Puts enqueued trials into the first generation.

    Optuna 5 gives a trial its generation when it samples it, so never to an enqueued one: the first points would be no
    one's parents. Points outside the ranges stay out, as their children would be too.
    """

    _context: SamplerContext

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        super().before_trial(study, trial)
        fixed = trial.system_attrs.get("fixed_params", {})
        if fixed and all(low <= fixed[name] <= high for name, (low, high) in self._context.ranges.items()):
            self.get_trial_generation(study, trial)


class NSGA2(_Inheriting, NSGAIISampler):
    """NSGA-II with a population for few trials."""

    def __init__(self, context: SamplerContext) -> None:
        """Takes what it is for."""
        super().__init__(population_size=_population(context), seed=context.stream_seed)
        self._context = context


class NSGA3(_Inheriting, NSGAIIISampler):
    """NSGA-III with a population for few trials."""

    def __init__(self, context: SamplerContext) -> None:
        """Takes what it is for."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            super().__init__(population_size=_population(context), seed=context.stream_seed)
        self._context = context


def _population(context: SamplerContext) -> int:
    return min(max(context.trials // GENERATIONS, FEWEST), MOST)
