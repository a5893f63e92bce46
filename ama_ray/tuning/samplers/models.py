"""`fitted`: Gaussian processes on outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.transforms.input import InputTransform
from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior
from gpytorch.kernels import AdditiveKernel, ScaleKernel, MaternKernel
from gpytorch.likelihoods import GaussianLikelihood
from gpytorch.likelihoods.gaussian_likelihood import _GaussianLikelihoodBase
from gpytorch.likelihoods.noise_models import Noise
from gpytorch.mlls import ExactMarginalLogLikelihood
from gpytorch.priors import GammaPrior, LogNormalPrior
from linear_operator import to_linear_operator
from linear_operator.operators import ZeroLinearOperator

if TYPE_CHECKING:
    from torch import Tensor

    from ama_ray.tuning.samplers.outcomes import Outcomes


class _Stretched(InputTransform):
    """Multiplies inputs by weights, and appends their weighted mean where asked."""

    def __init__(self, weights: Tensor, mean: bool) -> None:
        super().__init__()
        self.transform_on_train = self.transform_on_eval = True
        self.transform_on_fantasize = True
        self.is_one_to_many = False
        self.register_buffer("weights", weights)
        self.mean = mean

    def transform(self, X: Tensor) -> Tensor:  # noqa: N803
        stretched = X * self.weights
        if not self.mean:
            return stretched
        level = (X * self.weights).sum(-1, keepdim=True) / self.weights.sum()
        return torch.cat([stretched, level], -1)


class _Known(Noise):
    def __init__(self, covariance: Tensor) -> None:
        super().__init__()
        self.covariance = covariance

    def forward(self, *params: Any, shape: Any = None, **kwargs: Any) -> Any:
        shape = shape if shape is not None else params[0].shape[:-1]
        if shape[-1] == self.covariance.shape[-1]:
            return to_linear_operator(self.covariance)
        return ZeroLinearOperator(*shape, shape[-1], dtype=torch.double)


class KnownNoise(_GaussianLikelihoodBase):
    """A likelihood whose noise is known and correlated between trials."""

    def __init__(self, covariance: Tensor) -> None:
        super().__init__(_Known(covariance))


def fitted(tried: Tensor, outcomes: Outcomes, weights: Tensor, noise: str, kernel: str) -> SingleTaskGP:
    size, batch = len(weights), outcomes.modelled.shape[-1:]
    covar = get_covar_module_with_dim_scaled_prior(
        ard_num_dims=size, batch_shape=batch, use_rbf_kernel=False,
        active_dims=list(range(size)) if kernel == "level" else None,
    )
    if kernel == "level":
        level = get_covar_module_with_dim_scaled_prior(ard_num_dims=1, batch_shape=batch, use_rbf_kernel=False, active_dims=[size])
        covar = AdditiveKernel(
            ScaleKernel(level, batch_shape=batch, outputscale_prior=GammaPrior(2.0, 1.0)),
            ScaleKernel(covar, batch_shape=batch, outputscale_prior=GammaPrior(2.0, 4.0)),
        )
    model = SingleTaskGP(
        tried,
        outcomes.standardised,
        likelihood=KnownNoise(outcomes.noise(noise)) if noise != "fitted" else None,
        covar_module=covar,
        input_transform=_Stretched(weights, kernel == "level"),
        outcome_transform=None,
    )
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model), optimizer_kwargs={"options": {"maxiter": 60}})
    return model
