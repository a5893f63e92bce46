"""`tpe`: Optuna's Tree-structured Parzen Estimator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optuna.samplers import TPESampler

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from ama_ray.tuning.samplers.context import SamplerContext


def make(context: SamplerContext) -> BaseSampler:
    """Makes the sampler.

    As Optuna 5 has it by default: independent parameters, which it advises for several objectives, and trials in
    flight avoided.
    """
    return TPESampler(seed=context.stream_seed, n_startup_trials=context.startup)
