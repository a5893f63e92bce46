"""A search whose models have rewards and taxes that are known, with the items of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ama_ray.scores.objectives import Objectives
from ama_ray.scores.terms import ProbeTerm, RewardTerm
from ama_ray.scores.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ama_ray.scores.trial import Origin

    Model = dict[str, NDArray[np.float64]]

OBJECTIVES = Objectives(
    (RewardTerm("kind", "reward", 1.0, 0), RewardTerm("safe", "reward", 0.5, 1)),
    (ProbeTerm("facts", "knowledge", "mean"), ProbeTerm("text", "language", "perplexity")),
)
SIZES = {"kind": 30, "safe": 21, "facts": 40, "text": 25}
LARGE = {"kind": 200, "safe": 60, "facts": 200, "text": 120}
"""Items of each reward and probe."""
LINE = [(0.4, 0.02), (0.9, 0.06), (1.3, 0.12), (1.7, 0.22)]
"""Rewards and taxes of four models, none of which beats another."""
ENDS = {0: (0.0, 0.0), 1: (2.0, 0.5)}
"""Reward and tax of base and aligned, in units of the made-up models."""


def model(draw: np.random.Generator, reward: float, tax: float, common: Mapping[str, NDArray[np.float64]]) -> Model:
    """Items of a model with this reward and tax: paired by what is common to all models, with some noise of its own."""
    noise = {name: 0.95 * each + 0.3 * draw.normal(size=each.shape) for name, each in common.items()}
    tokens = np.linspace(20, 60, len(common["text"]))
    return {
        "kind": (reward + noise["kind"])[:, None],
        "safe": noise["safe"][:, None],
        "facts": (noise["facts"] < 1.2 - 3 * tax).astype(float)[:, None],
        "text": np.stack([tokens * np.log(3 + tax + 0.2 * noise["text"]), tokens], axis=1),
    }


def search(
    truths: Sequence[tuple[float, float]], seed: int, sizes: Mapping[str, int] = SIZES
) -> tuple[list[Trial], dict[int, Model]]:
    """Base, aligned, and trials with these rewards and taxes."""
    draw = np.random.default_rng(seed)
    common = {name: draw.normal(size=size) for name, size in sizes.items()}
    items = {n: model(draw, *truth, common) for n, truth in enumerate([*ENDS.values(), *truths])}
    trials = []
    for number, each in items.items():
        ratios = {"a": float(number), "b": float(number)} if number in ENDS else {"a": 0.1, "b": 0.01 * number}
        origin: Origin = "baseline" if number in ENDS else "sampler"
        trials.append(Trial(number, "complete", origin, ratios, OBJECTIVES.scores(each, items[0] if number else None)))
    return trials, items
