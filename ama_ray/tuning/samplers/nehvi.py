"""`NehviSampler`: Gaussian processes on every reward and probe, and the ratios of highest expected hypervolume gain."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import optuna
import torch
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.acquisition.multi_objective.objective import GenericMCMultiOutputObjective
from botorch.exceptions import ModelFittingError
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.transforms import Standardize
from botorch.models.transforms.input import AffineInputTransform
from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior
from botorch.optim import optimize_acqf
from botorch.sampling import SobolQMCNormalSampler
from botorch.utils.sampling import draw_sobol_samples
from gpytorch.mlls import ExactMarginalLogLikelihood
from linear_operator.utils.errors import NotPSDError
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState
from threadpoolctl import threadpool_limits

from ama_ray.pareto.hypervolume import non_dominated
from ama_ray.scores.constraints import Constraints
from ama_ray.scores.tokens import TOKENS, minimised
from ama_ray.tuning.samplers.outcomes import Outcomes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial
    from torch import Tensor

    from ama_ray.scores.objectives import Objectives
    from ama_ray.scores.trial import Scores
    from ama_ray.tuning.samplers.context import SamplerContext

SAMPLES = 64
CANDIDATES = 128
"""Starting points of each sort: over the whole space, around the front, and crossings of its points."""
STARTS = 2
LEAST_WEIGHT = 0.05
SAME = 1e-3
"""Points that differ by less in all ratios, as a share of their ranges, are the same."""
NEAR = 0.15
"""Standard deviation of a step around the front, as a share of a range."""


def make(context: SamplerContext) -> NehviSampler:
    """Makes the sampler."""
    return NehviSampler(context.objectives, context.seed, context.constraints, context.reference, context.moved)


class NehviSampler(optuna.samplers.BaseSampler):
    """Bayesian optimisation of the front on everything that a trial measures.

    A Gaussian process is fitted to every outcome - each reward objective and the score of each probe - rather than to
    the objectives: a probe answers to few of the ratios, and the tax, a sum of such answers, has more bends than each.
    Scores between 0 and 1 are fitted on the logit scale, on which they are nearly straight between floor and ceiling;
    rewards likewise, between bounds a little beyond what was seen. The objectives are computed from samples of the
    posterior, and the next ratios are those of the highest noisy expected hypervolume improvement (Daulton et al.,
    arXiv 2105.08195; its logarithm, Ament et al., arXiv 2310.20708), running trials counted as if their results were
    drawn from the posterior. Models (of Matern 5/2 kernels) and acquisition are BoTorch's, and so are the priors on
    length scales, which grow with the number of ratios (Hvarfner et al., arXiv 2402.02229). Distances along a
    ratio count times the square root of how far its group moved from base to aligned: a group that hardly moved hardly
    matters. The root was better than none and than the distance itself (`docs/search.md`).

    Trials tell it their scores by `tell`, as Optuna's own values are the objectives alone.
    """

    def __init__(
        self,
        objectives: Objectives,
        seed: int,
        constraints: Constraints | None = None,
        reference: Mapping[str, float] | None = None,
        moved: Mapping[str, float] | None = None,
    ) -> None:
        """Prepares a sampler.

        Args:
            objectives: Of the run.
            seed: Of everything random in it.
            constraints: Of the run; they weigh the gain by the probability that all are satisfied.
            reference: Worst values worth anything by objective; base's rewards and aligned's tax by default.
            moved: How far a group is from base to aligned, by parameter; equally far by default.
        """
        self._objectives = objectives
        self._seed = seed
        self._constraints = constraints or Constraints()
        self._reference = dict(reference or {})
        self._moved = dict(moved or {})
        self._scores: dict[int, Scores] = {}
        self._ends: tuple[Scores, Scores] | None = None
        self._random = optuna.samplers.RandomSampler(seed)

    def tell(self, number: int, scores: Scores) -> None:
        """Notes what a trial of the study scored on the search split, before the study is told."""
        self._scores[number] = scores

    def tell_ends(self, base: Scores, aligned: Scores) -> None:
        """Notes what base and aligned scored; the box between them scales the objectives."""
        self._ends = base, aligned

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """All parameters: they are chosen together."""
        return optuna.search_space.intersection_search_space(study.get_trials(deepcopy=False))

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The values to try next; none before two trials have finished, and values are then random."""
        trials = study.get_trials(deepcopy=False)
        done = [t for t in trials if t.state == TrialState.COMPLETE and t.number in self._scores]
        spaces = {name: space for name, space in search_space.items() if isinstance(space, FloatDistribution)}
        if len(done) < 2 or not spaces:
            return {}
        running = [t for t in trials if t.state == TrialState.RUNNING and t.params.keys() >= spaces.keys()]
        outcomes = self._outcomes([self._scores[t.number] for t in done])
        # BoTorch draws from the process-wide generator, which is left as it was. The matrices are small: with several
        # threads, BLAS takes twenty times as long to share them out as to work on them.
        with torch.random.fork_rng(devices=[]), threadpool_limits(1, "blas"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.manual_seed(self._seed * 100_003 + trial.number)
            weights = self._weights(spaces)
            try:
                unit = self._best(
                    _to_unit(done, spaces), outcomes, weights, _to_unit(running, spaces) if running else None
                )
            except (ModelFittingError, NotPSDError):
                return {}  # this one by chance; the next trial may save the models
        return {
            name: min(max(space.low + value * (space.high - space.low), space.low), space.high)
            for (name, space), value in zip(spaces.items(), unit.tolist(), strict=True)
        }

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A random value."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)

    def _weights(self, parameters: Iterable[str]) -> Tensor:
        """What distances along each parameter are multiplied by, shape (parameters,)."""
        moved = torch.tensor([self._moved.get(name, 1.0) for name in parameters], dtype=torch.double)
        return (moved / moved.max()).sqrt().clamp(min=LEAST_WEIGHT)

    def _outcomes(self, scores: Sequence[Scores]) -> Outcomes:
        return Outcomes(scores, self._objectives, bounded_tokens=TOKENS in self._constraints.bounds)

    def _best(self, tried: Tensor, outcomes: Outcomes, weights: Tensor, running: Tensor | None) -> Tensor:
        """The point of the unit cube with the highest expected gain, shape (parameters,)."""
        low, scale = self._box(outcomes)
        model = SingleTaskGP(
            tried,
            outcomes.modelled,
            covar_module=get_covar_module_with_dim_scaled_prior(
                ard_num_dims=len(weights), batch_shape=outcomes.modelled.shape[-1:], use_rbf_kernel=False
            ),
            input_transform=AffineInputTransform(len(weights), 1 / weights, torch.zeros_like(weights)),
            outcome_transform=Standardize(outcomes.modelled.shape[-1]),
        )
        fit_gpytorch_mll(
            ExactMarginalLogLikelihood(model.likelihood, model), optimizer_kwargs={"options": {"maxiter": 60}}
        )
        bounds = [partial(outcomes.excess, name, constraints=self._constraints) for name in self._constraints.bounds]
        gain = qLogNoisyExpectedHypervolumeImprovement(
            model,
            ref_point=torch.zeros(len(low), dtype=torch.double),
            X_baseline=tried,
            sampler=SobolQMCNormalSampler(torch.Size([SAMPLES])),
            objective=GenericMCMultiOutputObjective(lambda y, X=None: (outcomes.to_objectives(y) - low) / scale),  # noqa: N803
            constraints=bounds or None,
            X_pending=running,
            prune_baseline=True,
            cache_root=False,
        )
        front = tried[self._front(outcomes, bounds)]
        candidates = _candidates(front)
        with torch.no_grad():
            parts = [candidates[i : i + CANDIDATES] for i in range(0, len(candidates), CANDIDATES)]
            gains = torch.cat([gain(part[:, None]) for part in parts])
        starts = candidates[gains.topk(STARTS).indices][:, None]
        cube = torch.stack([torch.zeros_like(front[0]), torch.ones_like(front[0])])
        best: Tensor = optimize_acqf(
            gain,
            bounds=cube,
            q=1,
            num_restarts=STARTS,
            batch_initial_conditions=starts,
            options={"maxiter": 40},
        )[0]
        known = tried if running is None else torch.cat([tried, running])
        if (known - best[0]).abs().amax(1).min() > SAME:
            return best[0]
        # The models see nothing to win anywhere, and a trial once more would teach them nothing.
        anywhere = candidates[:CANDIDATES]
        return anywhere[torch.cdist(anywhere, known).amin(1).argmax()]

    def _front(self, outcomes: Outcomes, bounds: Sequence[Callable[[Tensor], Tensor]]) -> Tensor:
        """Marks the trials of the front, of those that keep all bounds where there are any; shape (trials,)."""
        kept = torch.ones(len(outcomes.modelled), dtype=torch.bool)
        for excess in bounds:
            kept &= excess(outcomes.modelled) <= 0
        kept = kept if kept.any() else ~kept
        signs = torch.tensor([1.0] * (outcomes.objectives.shape[-1] - 1) + [-1.0])
        values = torch.where(kept[:, None], outcomes.objectives, torch.nan)
        return torch.as_tensor(non_dominated(values * signs))

    def _box(self, outcomes: Outcomes) -> tuple[Tensor, Tensor]:
        """The reference point and the size of the box it is a corner of, all objectives maximised.

        Where base and aligned are not known or trade nothing, the worst and the range of what was seen.
        """
        values = outcomes.objectives
        low, high = values.min(0).values, values.max(0).values
        if self._ends:
            base, aligned = (self._outcomes([each]).objectives[0] for each in self._ends)
            better = torch.maximum(base, aligned) > torch.minimum(base, aligned)
            low = torch.where(better, torch.minimum(base, aligned), low)
            high = torch.where(better, torch.maximum(base, aligned), high)
        if TOKENS in self._objectives.names:
            # They are measured by all there are, as base and aligned may say as much.
            high[self._objectives.names.index(TOKENS)] = 0.0
        scale = torch.where(high > low, high - low, torch.ones_like(low))
        for position, name in enumerate(self._objectives.names):
            if name in self._reference:
                low[position] = -self._reference[name] if minimised(name) else self._reference[name]
        return low, scale


def _to_unit(trials: Sequence[FrozenTrial], spaces: Mapping[str, FloatDistribution]) -> Tensor:
    """Parameters as shares of their ranges, shape (trials, parameters)."""
    rows = [
        [(trial.params[name] - space.low) / (space.high - space.low) for name, space in spaces.items()]
        for trial in trials
    ]
    return torch.tensor(rows, dtype=torch.double)


def _candidates(front: Tensor) -> Tensor:
    """Where to start from, shape (points, parameters)."""
    size = front.shape[-1]

    def drawn() -> Tensor:
        return front[torch.randint(len(front), (CANDIDATES,))]

    def half() -> Tensor:
        return torch.rand(CANDIDATES, size) < 0.5

    cube = torch.tensor([[0.0] * size, [1.0] * size], dtype=torch.double)
    anywhere = draw_sobol_samples(cube, CANDIDATES, q=1).squeeze(1)
    near = drawn() + NEAR * torch.randn(CANDIDATES, size, dtype=torch.double) * half()
    return torch.cat([anywhere, near.clamp(0, 1), torch.where(half(), drawn(), drawn()).clamp(0, 1)])
