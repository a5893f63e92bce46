"""Ways to choose ratios, for the benchmark of searches: each is asked for ratios and told what they scored."""

from __future__ import annotations

import warnings
from collections import deque
from typing import TYPE_CHECKING, Protocol

import cma
import numpy as np
import optuna
import torch
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.transforms import Standardize
from botorch.optim import optimize_acqf
from botorch.utils.sampling import draw_sobol_samples
from gpytorch.mlls import ExactMarginalLogLikelihood
from optuna.distributions import FloatDistribution
from threadpoolctl import threadpool_limits

from ama_ray.config import FIRST_RATIOS, RunConfig
from ama_ray.distill import distill
from ama_ray.evaluation.inputs import Inputs
from ama_ray.miniature import ROOT
from ama_ray.tuning.samplers.nehvi import NehviSampler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler

    from ama_ray.scores.objectives import Objectives
    from ama_ray.scores.trial import Scores

WEIGHTS = (0.2, 0.4, 0.6, 0.8)
"""Of the reward, in the sums that CMA-ES maximises."""


class Searched(Protocol):
    """What contestants know of what they search: `Landscape`, `Modelled`.

    Attributes:
        aligned: One of the miniature's aligned models.
        space: A search space, by name.
        groups: The names of the ratios.
        objectives: What is traded.
        moved: How far base and aligned are apart along each ratio.
    """

    aligned: str
    space: str
    groups: tuple[str, ...]
    objectives: Objectives
    moved: dict[str, float]


class Contestant(Protocol):
    """A way to choose ratios."""

    def ask(self) -> dict[str, float]:
        """Ratios to score next."""

    def tell(self, ratios: Mapping[str, float], scores: Scores) -> None:
        """What ratios that were asked for scored, in any order."""


class Studied:
    """One of Optuna's samplers, or ours, by ask and tell."""

    def __init__(self, groups: Sequence[str], sampler: BaseSampler, first: Sequence[float] = ()) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._distributions: dict[str, BaseDistribution] = {group: FloatDistribution(0, 1) for group in groups}
        self._sampler = sampler
        self._study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
        self._running: dict[tuple[float, ...], optuna.Trial] = {}
        self._ends: dict[float, Scores] = {}
        for ratio in first:
            self._study.enqueue_trial(dict.fromkeys(groups, float(ratio)))

    def ask(self) -> dict[str, float]:
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore")
            trial = self._study.ask(self._distributions)
        self._running[tuple(trial.params.values())] = trial
        return dict(trial.params)

    def tell(self, ratios: Mapping[str, float], scores: Scores) -> None:
        trial = self._running.pop(tuple(ratios.values()))
        if isinstance(self._sampler, NehviSampler):
            self._sampler.tell(trial.number, scores)
            if set(ratios.values()) in ({0.0}, {1.0}):
                self._ends[next(iter(ratios.values()))] = scores
            if len(self._ends) == 2:
                self._sampler.tell_ends(self._ends[0.0], self._ends[1.0])
        self._study.tell(trial, _values(scores))


class Line:
    """Points given beforehand, in their order; then the last one again, as there is nothing else to try."""

    def __init__(self, points: Sequence[Mapping[str, float]]) -> None:
        self._points = deque(points)

    def ask(self) -> dict[str, float]:
        return dict(self._points.popleft() if len(self._points) > 1 else self._points[0])

    def tell(self, ratios: Mapping[str, float], scores: Scores) -> None:
        """Nothing to learn."""


class WeightedSums:
    """CMA-ES as mergekit-evolve 0.1.5 runs it, once for each of several weighted sums, which take turns.

    Start at 0.5 everywhere, sigma0 1/6, the population of the `cma` library. Base and aligned come first: the sums are
    of the shares between them.
    """

    def __init__(self, groups: Sequence[str], seed: int) -> None:
        self._groups = groups
        self._ends: list[list[float]] = []
        start = np.full(len(groups), 0.5)
        options = {"bounds": [0, 1], "verbose": -9}
        self._searches = [
            cma.CMAEvolutionStrategy(start, 1 / 6, options | {"seed": 1 + seed * len(WEIGHTS) + i})
            for i in range(len(WEIGHTS))
        ]
        self._turn = -1
        self._asked: deque[np.ndarray] = deque()
        self._population: list[np.ndarray] = []
        self._losses: list[float] = []

    def ask(self) -> dict[str, float]:
        if len(self._ends) < 2:
            return dict.fromkeys(self._groups, float(len(self._ends)))
        if not self._asked:
            self._turn = (self._turn + 1) % len(WEIGHTS)
            self._population = self._searches[self._turn].ask()
            self._asked, self._losses = deque(self._population), []
        return dict(zip(self._groups, self._asked.popleft().tolist(), strict=True))

    def tell(self, ratios: Mapping[str, float], scores: Scores) -> None:
        values = _values(scores)
        if len(self._ends) < 2:
            self._ends.append(values)
            return
        # An end that has no tax on these items leaves the other's as it is.
        reward, tax = ((v - low) / ((high - low) or 1.0) for v, low, high in zip(values, *self._ends, strict=True))
        weight = WEIGHTS[self._turn]
        self._losses.append((1 - weight) * tax - weight * reward)
        if len(self._losses) == len(self._population):
            self._searches[self._turn].tell(self._population, self._losses)


class ColdNehvi:
    """BoTorch's qLogNEHVI on the two objectives with its defaults, after 2 (K + 1) Sobol points.

    With noise that is known, its models are told the standard errors; base's tax has none.
    """

    def __init__(self, groups: Sequence[str], seed: int, *, known_noise: bool = False) -> None:
        self._groups, self._seed, self._known_noise = groups, seed, known_noise
        self._cube = torch.tensor([[0.0] * len(groups), [1.0] * len(groups)], dtype=torch.double)
        self._first = draw_sobol_samples(self._cube, 2 * (len(groups) + 1), q=1, seed=seed).squeeze(1)
        self._tried: list[list[float]] = []
        self._values: list[list[float]] = []
        self._errors: list[list[float]] = []

    def ask(self) -> dict[str, float]:
        if len(self._tried) < len(self._first):
            point = self._first[len(self._tried)]
        else:
            torch.manual_seed(self._seed * 1000 + len(self._tried))
            with warnings.catch_warnings(), threadpool_limits(1):
                warnings.simplefilter("ignore")
                point = self._best(torch.tensor(self._tried).double(), torch.tensor(self._values).double())
        return dict(zip(self._groups, point.tolist(), strict=True))

    def _best(self, tried: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        noise = torch.tensor(self._errors).double() ** 2 if self._known_noise else None
        model = SingleTaskGP(tried, values, noise, outcome_transform=Standardize(2))
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        worst, best = values.min(0).values, values.max(0).values
        reference = worst - 0.1 * (best - worst)
        gain = qLogNoisyExpectedHypervolumeImprovement(
            model, ref_point=reference, X_baseline=tried, prune_baseline=True, cache_root=False
        )
        options = {"maxiter": 50}
        found: torch.Tensor = optimize_acqf(
            gain, bounds=self._cube, q=1, num_restarts=4, raw_samples=128, options=options
        )[0]
        return found[0]

    def tell(self, ratios: Mapping[str, float], scores: Scores) -> None:
        reward, tax = _values(scores)
        self._tried.append(list(ratios.values()))
        self._values.append([reward, -tax])
        self._errors.append([estimate.se for estimate in scores.objectives.values()])


def _values(scores: Scores) -> list[float]:
    return [estimate.value for estimate in scores.objectives.values()]


def _halved(points: int) -> list[float]:
    """0, 1, a half, quarters, eighths, ..."""
    ratios, step = [0.0, 1.0], 0.5
    while len(ratios) < points:
        ratios += [i * step for i in range(1, round(1 / step), 2)]
        step /= 2
    return ratios


def _ours(landscape: Searched, seed: int) -> Contestant:
    return Studied(landscape.groups, NehviSampler(landscape.objectives, seed, moved=landscape.moved), FIRST_RATIOS)


def _distilled(landscape: Searched, seed: int) -> Contestant:
    """The paper's method: base, aligned, then proxy distillation to 18 means, coarse to fine."""
    means = [0.5, 0.25, 0.75, *(i / 20 for i in range(1, 20) if i not in (5, 10, 15))]
    fields = {"aligned": str(ROOT / landscape.aligned), "space": landscape.space, "seed": seed, "out": "unused"}
    config = RunConfig.load(ROOT / "run.yaml", **fields, distill={"means": means})
    points = {round(point.mean_ratio, 9): point.ratios for point in distill(Inputs.open(config))}
    ends = [dict.fromkeys(landscape.groups, ratio) for ratio in (0.0, 1.0)]
    return Line([*ends, *(points[round(mean, 9)] for mean in means)])


CONTESTANTS: dict[str, Callable[[Searched, int], Contestant]] = {
    "ama_ray": _ours,
    "random": lambda land, seed: Studied(land.groups, optuna.samplers.RandomSampler(seed)),
    "TPE": lambda land, seed: Studied(land.groups, optuna.samplers.TPESampler(seed=seed)),
    "NSGA-II": lambda land, seed: Studied(land.groups, optuna.samplers.NSGAIISampler(seed=seed, population_size=16)),
    "CMA-ES": lambda land, seed: WeightedSums(land.groups, seed),
    "uniform": lambda land, _: Line([dict.fromkeys(land.groups, ratio) for ratio in _halved(256)]),
    "Optuna GP": lambda land, seed: Studied(land.groups, optuna.samplers.GPSampler(seed=seed)),
    "distillation": _distilled,
    "qNEHVI": lambda land, seed: ColdNehvi(land.groups, seed),
    "qNEHVI noise known": lambda land, seed: ColdNehvi(land.groups, seed, known_noise=True),
}
"""By name: from a landscape and a seed."""
