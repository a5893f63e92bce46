"""A suggester of ratios, asked and told without Tune."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import optuna
from optuna.study import StudyDirection

from ama_ray.config import BASELINE_RATIOS
from ama_ray.scores.objectives import Objectives
from ama_ray.scores.terms import ProbeTerm, RewardTerm
from ama_ray.scores.trial import Estimate, ProbeResult, Scores
from ama_ray.space.parametrization import parametrization
from ama_ray.tuning import samplers
from ama_ray.tuning.samplers import SamplerContext
from ama_ray.tuning.suggester import StudySuggester
from ama_ray.tuning.warm_start import FirstPoint

if TYPE_CHECKING:
    from ama_ray.scores.constraints import Constraints
    from ama_ray.tuning.trial_records import TrialSpec

RANGES = {"embed": (0.0, 1.0), "layer-0.attention": (0.2, 0.8), "head": (0.0, 1.0)}
PROBES = (
    ProbeTerm("fr", "translation", "mean"),
    ProbeTerm("de", "translation", "mean"),
    ProbeTerm("f", "facts", "mean"),
)


def objectives(*rewards: str) -> Objectives:
    return Objectives(tuple(RewardTerm(name, name, 1.0, 0) for name in rewards), PROBES)


def searcher(
    seed: int = 0,
    *rewards: str,
    name: str = "gp",
    mean_ratio: float | None = None,
    constraints: Constraints | None = None,
    warm: list[dict[str, float]] | None = None,
) -> StudySuggester:
    """With the uniform points first, and any others after them."""
    kept, shape = objectives(*(rewards or ("reward",))), parametrization(RANGES, mean_ratio)
    first = [FirstPoint("baseline", dict.fromkeys(RANGES, ratio)) for ratio in BASELINE_RATIOS]
    first += [FirstPoint("warm start", ratios) for ratios in warm or []]
    in_study = sum(shape.expresses(point.ratios) for point in first)
    sampler, _ = samplers.make(name, SamplerContext(shape.ranges, kept, 40, 1, in_study, seed))
    return StudySuggester(shape, kept, study(sampler, len(kept.names)), first, constraints)


def study(sampler: optuna.samplers.BaseSampler, objectives: int = 2) -> optuna.Study:
    directions = [StudyDirection.MAXIMIZE] * (objectives - 1) + [StudyDirection.MINIMIZE]
    return optuna.create_study(directions=directions, sampler=sampler)


def suggest(searcher: StudySuggester) -> TrialSpec:
    """Asks until there is an answer, as Tune does."""
    while (spec := searcher.suggest()) is None:
        pass
    return spec


def result(tax: float = 0.1, **rewards: float) -> Scores:
    """What a trial scored."""
    values = rewards | {"tax": tax}
    estimates = {name: Estimate(value, 0.01) for name, value in values.items()}
    taxes = {"fr": (0.1, 0.03), "de": (0.3, 0.04), "f": (tax, 0.02)}
    probes = {name: ProbeResult(0.5, 0.1, *each) for name, each in taxes.items()}
    return Scores(estimates, probes)


def finish(searcher: StudySuggester, count: int) -> list[dict[str, float]]:
    vectors = []
    for _ in range(count):
        spec = suggest(searcher)
        vectors.append(spec.ratios)
        searcher.tell(spec, result(reward=math.fsum(spec.ratios.values()) / 3, tax=spec.ratios["head"] ** 2))
    return vectors
