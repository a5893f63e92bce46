"""`choose`: which sampler `auto` stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ama_ray.tuning.samplers.context import SamplerContext

MOST_RATIOS = 40
MOST_TRIALS = 300
MOST_TRIALS_OF_THREE = 100
"""With three objectives, where a choice takes several times as long."""
MOST_OBJECTIVES = 3
MOST_PARALLEL = 16


def choose(context: SamplerContext) -> tuple[str, str]:
    """The rule: a Gaussian process where it is at home, TPE beyond.

    A Gaussian process gets the most out of few trials. It takes a second or more for each new one, which grows
    with the trials and steeply with the objectives; it learns little about more than some 40 ratios; and many
    engines would wait for it.

    Args:
        context: What the sampler is for.

    Returns:
        The name of the sampler, and why.
    """
    ratios, objectives = len(context.ranges), len(context.objectives.names)
    limits = [
        (ratios, MOST_RATIOS, "ratios"),
        (objectives, MOST_OBJECTIVES, "objectives"),
        (context.trials, MOST_TRIALS if objectives < 3 else MOST_TRIALS_OF_THREE, "trials"),
        (context.parallel, MOST_PARALLEL, "in parallel"),
    ]
    case = (
        f"{ratios} ratios to choose, {objectives} objectives, {context.trials} trials, {context.parallel} in parallel"
    )
    beyond = [f"more than {most} {what}" for count, most, what in limits if count > most]
    if beyond:
        return "tpe", f"{case}: too many for a Gaussian process, which is for no {' and no '.join(beyond)}"
    return "nehvi", f"{case}: few enough for a Gaussian process, which gets the most out of each trial"
