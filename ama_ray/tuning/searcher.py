"""`ParetoSearcher`: Optuna behind Tune, for two objectives and trials that may fail."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import optuna
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState
from ray.tune.search.optuna import OptunaSearch

from ama_ray.config import BASELINE_RATIOS

if TYPE_CHECKING:
    from collections.abc import Mapping

OBJECTIVES = {"reward": "max", "tax": "min"}


class ParetoSearcher(OptunaSearch):
    """Suggests ratio vectors: first the uniform baseline, then those of Optuna's Gaussian-process sampler.

    It fits both objectives and proposes the point of highest expected hypervolume improvement.

    Mends what Tune's `OptunaSearch` does with failures: a trial without finite objectives is told to the study as
    failed, where the parent leaves it running for ever, so that its ratios would be avoided as if still pending.
    """

    def __init__(self, ranges: Mapping[str, tuple[float, float]], seed: int) -> None:
        """Prepares a study.

        Args:
            ranges: Lowest and highest ratio by group, in the order of the search space.
            seed: Of the sampler.
        """
        sampler = optuna.samplers.GPSampler(seed=seed, n_startup_trials=len(BASELINE_RATIOS))
        self._ranges = dict(ranges)
        super().__init__(
            space={group: FloatDistribution(*limits) for group, limits in self._ranges.items()},
            metric=list(OBJECTIVES),
            mode=list(OBJECTIVES.values()),
            sampler=sampler,
            points_to_evaluate=[dict.fromkeys(self._ranges, ratio) for ratio in _endpoints_first()],
        )

    def suggest(self, trial_id: str) -> dict[str, Any]:
        """The next trial: its number, origin and ratios."""
        with warnings.catch_warnings():
            # The baseline is scored whole, also where a group's range is narrower.
            warnings.filterwarnings("ignore", message="Fixed parameter .* is out of range")
            ratios = super().suggest(trial_id)
        number = self._ot_trials[trial_id].number
        origin = "baseline" if number < len(BASELINE_RATIOS) else "sampler"
        return {"number": number, "origin": origin, "ratios": {group: ratios[group] for group in self._ranges}}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tells the study how a trial ended."""
        values = [(result or {}).get(objective, math.nan) for objective in OBJECTIVES]
        if not error and all(math.isfinite(value) for value in values):
            super().on_trial_complete(trial_id, result, error)
        else:
            self._ot_study.tell(self._ot_trials[trial_id], state=TrialState.FAIL)
            self._completed_trials.add(trial_id)


def _endpoints_first() -> list[float]:
    return sorted(BASELINE_RATIOS, key=lambda ratio: (ratio not in (0, 1), ratio))
