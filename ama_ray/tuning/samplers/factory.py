"""`make`: a sampler by its name in a run file."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING

from ama_ray.config.search import AUTO, SAMPLERS
from ama_ray.tuning.samplers.auto import choose

if TYPE_CHECKING:
    from collections.abc import Callable

    from optuna.samplers import BaseSampler

    from ama_ray.tuning.samplers.context import SamplerContext


def make(name: str, context: SamplerContext, given: BaseSampler | None = None) -> tuple[BaseSampler, str]:
    """Makes a sampler.

    Args:
        name: `auto`, one of `ama_ray.config.search.SAMPLERS`, or the dotted path of a class.
        context: What the sampler is for.
        given: The sampler itself, where the user has made it; `name` is then that of its class.

    Returns:
        The sampler, and its name, with the reason where `auto` chose it.

    Raises:
        UserError: The dotted path names no sampler that can do this.
    """
    if given is not None:
        if context.known:
            given.reseed_rng()  # as it was made, it would draw what it drew in the first trials
        return given, name
    if name == AUTO:
        name, why = choose(context)
        return _maker(name)(context), f"{name} (auto: {why})"
    if name in SAMPLERS:
        return _maker(name)(context), name
    from ama_ray.tuning.samplers.custom import dotted

    return dotted(name, len(context.objectives.names), context.stream_seed), name


def check(name: str, objectives: int, given: BaseSampler | None = None) -> None:
    """Refuses a sampler that is not there or cannot search so many objectives; see `make`.

    Raises:
        UserError: The dotted path names no sampler that can do this, or the one that was given cannot.
    """
    if given is not None:
        from ama_ray.tuning.samplers.custom import check_given

        check_given(given, name, objectives)
    elif name != AUTO and name not in SAMPLERS:
        from ama_ray.tuning.samplers.custom import dotted  # Optuna takes its time, here and above

        dotted(name, objectives, seed=0)


def _maker(name: str) -> Callable[[SamplerContext], BaseSampler]:
    # By its address, so that only the sampler of this search is imported: BoTorch alone takes seconds.
    maker: Callable[[SamplerContext], BaseSampler] = resolve_name(SAMPLERS[name])
    return maker
