"""A made-up run with the shape of a real one: layers differ in what they give and in what they cost."""

from __future__ import annotations

import numpy as np
import pytest

from ama_ray.config import BASELINE_RATIOS
from ama_ray.pareto import ParetoSet
from ama_ray.trial import Origin, ProbeResult, Trial

GROUPS = [f"layers.{i}" for i in range(8)]
PROBES = {"arc": 0.62, "squad": 0.71, "drop": 0.44, "fr-en": 0.35}


def _scored(number: int, origin: Origin, ratios: np.ndarray, draw: np.random.Generator) -> Trial:
    depth = np.linspace(0, 1, len(ratios))
    reward = -0.2 + 4.3 * np.mean((1 - (1 - ratios) ** 2.2) * (0.4 + 1.2 * depth)) + draw.normal(0, 0.03)
    tax = 0.258 * np.mean(ratios**2 * (1.7 - 1.4 * depth)) + (draw.normal(0, 0.004) if ratios.any() else 0.0)
    return Trial(
        number,
        "complete",
        origin,
        dict(zip(GROUPS, ratios.tolist(), strict=True)),
        reward=float(reward),
        reward_se=0.06,
        tax=float(tax),
        tax_se=0.008 if ratios.any() else 0.0,
        probes={name: ProbeResult(score - float(tax), float(tax)) for name, score in PROBES.items()},
        seconds={"swap": 0.02, "generate": 3.1, "score": 0.6},
    )


@pytest.fixture(scope="session")
def run() -> ParetoSet:
    draw = np.random.default_rng(3)
    trials = [_scored(i, "baseline", np.full(8, r), draw) for i, r in enumerate(BASELINE_RATIOS)]
    ramp = np.linspace(-0.5, 0.5, 8)
    for number in range(11, 60):
        ratios = np.clip(draw.uniform(-0.3, 1.3) + draw.uniform(-0.3, 2) * ramp + draw.normal(0, 0.12, 8), 0, 1)
        trials.append(_scored(number, "warm start" if number < 14 else "sampler", ratios, draw))
    trials.append(Trial(60, "failed", "sampler", trials[-1].ratios, reason="OutOfMemoryError: 3 GiB, then\nnothing"))
    return ParetoSet(trials)
