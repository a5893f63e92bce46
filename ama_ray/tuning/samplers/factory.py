"""`make`: a sampler by its name in a run file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler

from ama_ray.config.search import SAMPLERS
from ama_ray.tuning.samplers.auto import choose
from ama_ray.tuning.samplers.custom import dotted
from ama_ray.tuning.samplers.nsga import NSGA2, NSGA3

if TYPE_CHECKING:
    from collections.abc import Callable

    from ama_ray.tuning.samplers.context import SamplerContext


def make(name: str, setting: SamplerContext) -> tuple[BaseSampler, str]:
    """Makes a sampler.

    Args:
        name: One of `ama_ray.config.search.SAMPLERS`, or the dotted path of a class.
        setting: What it is for.

    Returns:
        The sampler, and its name, with the reason where `auto` chose it.

    Raises:
        UserError: The dotted path names no sampler that can do this.
    """
    if name == "auto":
        name, why = choose(setting)
        return _MAKERS[name](setting), f"{name} (auto: {why})"
    if maker := _MAKERS.get(name):
        return maker(setting), name
    return dotted(name, len(setting.objectives.names), setting.stream_seed), name


def check(name: str, objectives: int) -> None:
    """Refuses a sampler that is not there or cannot search so many objectives.

    Raises:
        UserError: The dotted path names no sampler that can do this.
    """
    if name not in SAMPLERS:
        dotted(name, objectives, seed=0)


def _nehvi(setting: SamplerContext) -> BaseSampler:
    from ama_ray.tuning.samplers.nehvi import NehviSampler

    return NehviSampler(setting.objectives, setting.seed, setting.constraints, setting.reference, setting.moved)


def _gp(setting: SamplerContext) -> BaseSampler:
    return GPSampler(seed=setting.stream_seed, n_startup_trials=setting.startup)


def _tpe(setting: SamplerContext) -> BaseSampler:
    # As Optuna 5 has it by default: independent parameters, which it advises for several objectives, and trials in
    # flight avoided.
    return TPESampler(seed=setting.stream_seed, n_startup_trials=setting.startup)


def _random(setting: SamplerContext) -> BaseSampler:
    return RandomSampler(seed=setting.stream_seed)


_MAKERS: dict[str, Callable[[SamplerContext], BaseSampler]] = {
    "nehvi": _nehvi,
    "gp": _gp,
    "tpe": _tpe,
    "nsga2": NSGA2,
    "nsga3": NSGA3,
    "random": _random,
}
