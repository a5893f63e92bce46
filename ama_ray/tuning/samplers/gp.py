"""`gp`: Optuna's Gaussian process on the objectives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optuna.samplers import GPSampler

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from ama_ray.tuning.samplers.context import SamplerContext


def make(context: SamplerContext) -> BaseSampler:
    """Makes the sampler."""
    return GPSampler(seed=context.stream_seed, n_startup_trials=context.startup)
