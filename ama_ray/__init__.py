"""Finds the layer ratios that average a model from before and after RLHF with the best reward for the least tax."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ama_ray.config import RunConfig
    from ama_ray.errors import UserError
    from ama_ray.pareto import ParetoSet
    from ama_ray.space import SearchSpace
    from ama_ray.trial import Trial
    from ama_ray.tuning.search import search

__all__ = ["ParetoSet", "RunConfig", "SearchSpace", "Trial", "UserError", "search"]

_HOMES = {
    "ParetoSet": "ama_ray.pareto",
    "RunConfig": "ama_ray.config",
    "SearchSpace": "ama_ray.space",
    "Trial": "ama_ray.trial",
    "UserError": "ama_ray.errors",
    "search": "ama_ray.tuning.search",
}


def __getattr__(name: str) -> Any:
    # Loaded on first use: `import ama_ray` and the command line's help must not wait for torch, Ray and vLLM.
    if name not in _HOMES:
        raise AttributeError(f"module 'ama_ray' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
