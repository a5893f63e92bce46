"""How much work an evaluation is: its items, how many they are, and the tokens that one of them takes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ama_ray.engine.requests import Continuations, Generation
from ama_ray.scores.objectives import replies_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ama_ray.engine.requests import Request
    from ama_ray.evaluation.evaluation import Evaluation
    from ama_ray.scores.objectives import Items


def sizes(evaluation: Evaluation) -> dict[str, int]:
    """The number of prompts or items, by name of the reward or probe; that of a command is not known before it ran."""
    prompts = {reward.settings.name: len(reward.rows) for reward in evaluation.rewards}
    return prompts | {probe.name: probe.count for probe in evaluation.probes}


def items_in(evaluation: Evaluation, items: Items) -> dict[str, NDArray[np.float64]]:
    """Of the items of a whole whose first ones an evaluation has, its own.

    Commands, which nobody divides, score the same items here and there.
    """
    counts = sizes(evaluation)
    for name, places in evaluation.places.items():
        counts[replies_of(name)] = sum(isinstance(evaluation.requests[place], Generation) for place in places)
    return {name: array[: counts.get(name)] for name, array in items.items()}


def tokens_of_items(evaluation: Evaluation) -> dict[str, float]:
    """The tokens that one prompt or item takes: those read, and at most so many generated.

    What several probes ask is asked once, so that each has its part of the tokens.

    Returns:
        The mean over the prompts or items, by name of the reward or probe.
    """
    shared = Counter(place for probe in evaluation.probes for place in set(evaluation.places[probe.name]))
    rewards = {reward.settings.name for reward in evaluation.rewards}
    return {
        name: sum(
            (read(evaluation.requests[place]) + generated(evaluation.requests[place]))
            / (1 if name in rewards else shared[place])
            for place in set(evaluation.places[name])
        )
        / count
        for name, count in sizes(evaluation).items()
    }


def tokens_of_trial(evaluation: Evaluation) -> int:
    """The tokens that one model takes: those read, and at most so many generated; those of commands are not known.

    There is one at least, as a budget of hours is counted in them.
    """
    return max(1, sum(read(request) + generated(request) for request in evaluation.requests))


def read(request: Request) -> int:
    """The tokens that a request has an engine read."""
    if isinstance(request, Generation):
        return len(request.prompt)
    continuations = request.continuations if isinstance(request, Continuations) else ()
    return len(request.context) + sum(map(len, continuations))


def generated(request: Request) -> int:
    """The most tokens that a request has an engine generate as replies."""
    return request.n * request.max_tokens if isinstance(request, Generation) else 0
