"""`fitted`: Gaussian processes on outcomes whose errors are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.transforms import Standardize
from botorch.models.transforms.input import InputTransform
from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior
from gpytorch.kernels import AdditiveKernel, ScaleKernel
from gpytorch.mlls import ExactMarginalLogLikelihood
from gpytorch.priors import GammaPrior

if TYPE_CHECKING:
    from gpytorch.kernels import Kernel
    from torch import Tensor

    from ama_ray.tuning.samplers.outcomes import Outcomes

LEVEL_PRIOR, REST_PRIOR = (2.0, 1.0), (2.0, 4.0)
"""Gamma priors (shape, rate) of the variances of both parts of a model, in those of the standardised outcome."""


class _WithLevel(InputTransform):
    """Multiplies inputs by weights, and appends their weighted mean, the level."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.transform_on_train = self.transform_on_eval = self.transform_on_fantasize = True
        self.is_one_to_many = False
        self.register_buffer("weights", weights)

    def transform(self, X: Tensor) -> Tensor:  # noqa: N803
        stretched = X * self.weights
        return torch.cat([stretched, stretched.sum(-1, keepdim=True) / self.weights.sum()], -1)


def fitted(tried: Tensor, outcomes: Outcomes, weights: Tensor) -> SingleTaskGP:
    """Fits a process to every outcome.

    Each is the sum of two: one along the level, the weighted mean of all inputs, and one over all inputs, both with
    Matern 5/2 kernels and length scales under priors that grow with the number of inputs (Hvarfner et al., arXiv
    2402.02229). Of many inputs and few trials the level is what is learned first: how much of aligned there is in all.

    Args:
        tried: Points of the unit cube, shape (trials, parameters).
        outcomes: What they scored, with the variances of its errors.
        weights: What distances along each parameter are multiplied by, shape (parameters,).

    Raises:
        ModelFittingError: No fit was found.
    """
    size, batch = len(weights), outcomes.modelled.shape[-1:]

    def part(inputs: list[int], prior: tuple[float, float]) -> Kernel:
        kernel = get_covar_module_with_dim_scaled_prior(
            ard_num_dims=len(inputs), batch_shape=batch, use_rbf_kernel=False, active_dims=inputs
        )
        return ScaleKernel(kernel, batch_shape=batch, outputscale_prior=GammaPrior(*prior))

    model = SingleTaskGP(
        tried,
        outcomes.modelled,
        outcomes.variances,
        covar_module=AdditiveKernel(part([size], LEVEL_PRIOR), part(list(range(size)), REST_PRIOR)),
        input_transform=_WithLevel(weights),
        outcome_transform=Standardize(batch[0]),
    )
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model), optimizer_kwargs={"options": {"maxiter": 60}})
    return model
