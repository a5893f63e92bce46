"""`random`: ratios by chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optuna.samplers import RandomSampler

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from ama_ray.tuning.samplers.context import SamplerContext


def make(context: SamplerContext) -> BaseSampler:
    """Makes the sampler."""
    return RandomSampler(seed=context.stream_seed)
