"""`ParetoSearcher`: Optuna behind Tune, for several objectives and trials that may fail."""

from __future__ import annotations

import math
import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import optuna
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState
from ray.tune.search.optuna import OptunaSearch

from ama_ray.config import BASELINE_RATIOS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

READY_SECONDS = 0.02
"""How long Tune waits for a suggestion before it does something else."""

_sampling = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sampler")


class ParetoSearcher(OptunaSearch):
    """Suggests ratio vectors: first the uniform baseline, then those of Optuna's Gaussian-process sampler.

    It fits every objective and proposes the point of highest expected hypervolume improvement.

    Mends what Tune's `OptunaSearch` does with failures: a trial without finite objectives is told to the study as
    failed, where the parent leaves it running for ever, so that its ratios would be avoided as if still pending.
    """

    def __init__(self, ranges: Mapping[str, tuple[float, float]], objectives: Sequence[str], seed: int) -> None:
        """Prepares a study.

        Args:
            ranges: Lowest and highest ratio by group, in the order of the search space.
            objectives: Their names; all are maximised but the last, the tax.
            seed: Of the sampler.
        """
        sampler = optuna.samplers.GPSampler(seed=seed, n_startup_trials=len(BASELINE_RATIOS))
        self._ranges = dict(ranges)
        self._objectives = tuple(objectives)
        self._asked: Future[optuna.Trial] | None = None
        super().__init__(
            space={group: FloatDistribution(*limits) for group, limits in self._ranges.items()},
            metric=list(objectives),
            mode=["max"] * (len(objectives) - 1) + ["min"],
            sampler=sampler,
            points_to_evaluate=[dict.fromkeys(self._ranges, ratio) for ratio in _endpoints_first()],
        )

    def suggest(self, trial_id: str, wait: float | None = READY_SECONDS) -> dict[str, Any] | None:
        """The next trial: its number, origin and ratios; None while the sampler still thinks.

        The sampler takes a good part of a second, in which Tune must go on handing trials to idle engines; so it works
        in a thread of its own, and Tune asks again.

        Args:
            trial_id: Of Tune.
            wait: Seconds to wait for the sampler; None waits until it is done.
        """
        if self._asked is None:
            self._asked = _sampling.submit(self._ask)
        try:
            trial = self._asked.result(timeout=wait)
        except TimeoutError:
            return None
        self._asked = None
        self._ot_trials[trial_id] = trial
        origin = "baseline" if trial.number < len(BASELINE_RATIOS) else "sampler"
        ratios = {group: trial.params[group] for group in self._ranges}
        return {"number": trial.number, "origin": origin, "ratios": ratios}

    def _ask(self) -> optuna.Trial:
        with warnings.catch_warnings():
            # The baseline is scored whole, also where a group's range is narrower.
            warnings.filterwarnings("ignore", message="Fixed parameter .* is out of range")
            trial: optuna.Trial = self._ot_study.ask(fixed_distributions=self._space)
        return trial

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tells the study how a trial ended."""
        values = [(result or {}).get(objective, math.nan) for objective in self._objectives]
        if not error and all(math.isfinite(value) for value in values):
            super().on_trial_complete(trial_id, result, error)
        else:
            self._ot_study.tell(self._ot_trials[trial_id], state=TrialState.FAIL)
            self._completed_trials.add(trial_id)


def _endpoints_first() -> list[float]:
    return sorted(BASELINE_RATIOS, key=lambda ratio: (ratio not in (0, 1), ratio))
