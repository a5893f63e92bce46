"""Items of made-up models that are scored on the same prompts and questions, so that they are paired."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ama_ray.scores.objectives import Objectives
from ama_ray.scores.terms import ProbeTerm, RewardTerm

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Model = dict[str, NDArray[np.float64]]

OBJECTIVES = Objectives(
    (
        RewardTerm("kind", "helpful", 1.0, 0),
        RewardTerm("short", "helpful", 0.5, 0),
        RewardTerm("safe", "harmless", 1.0, 1),
    ),
    (
        ProbeTerm("facts", "knowledge", "mean"),
        ProbeTerm("more", "knowledge", "mean"),
        ProbeTerm("text", "language", "perplexity"),
    ),
)
SIZES = {"kind": 60, "short": 60, "safe": 45, "facts": 80, "more": 50, "text": 70}


def model(draw: np.random.Generator, skill: float, common: Model | None = None) -> Model:
    """Items of a model; `common` is what items have in common, so that models are correlated."""
    common = common or {name: draw.normal(size=size) for name, size in SIZES.items()}
    items = {name: skill + common[name] + draw.normal(size=size) for name, size in SIZES.items()}
    tokens = np.linspace(20, 60, SIZES["text"])
    right = {name: (items[name] > 0).astype(float)[:, None] for name in ("facts", "more")}
    text = np.stack([tokens * np.exp(0.5 - 0.2 * items["text"]), tokens], axis=1)
    return {name: items[name][:, None] for name in ("kind", "short", "safe")} | right | {"text": text}


def pair(seed: int) -> tuple[Model, Model]:
    """Two models, of which the first has the more skill."""
    draw = np.random.default_rng(seed)
    common = {name: draw.normal(size=size) for name, size in SIZES.items()}
    return model(draw, 0.4, common), model(draw, 0.1, common)
