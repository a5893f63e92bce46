"""Finds the layer ratios that average a model from before and after RLHF with the best reward for the least tax."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ama_ray.api import Run, search
    from ama_ray.config import RunConfig
    from ama_ray.engine.replies import Reply
    from ama_ray.errors import UserError
    from ama_ray.pareto.pareto_set import ParetoSet
    from ama_ray.scores.trial import Trial
    from ama_ray.space.search_space import SearchSpace

__all__ = ["ParetoSet", "Reply", "Run", "RunConfig", "SearchSpace", "Trial", "UserError", "search"]

__version__ = "0.1.0"

_HOMES = {
    "ParetoSet": "ama_ray.pareto.pareto_set",
    "Reply": "ama_ray.engine.replies",
    "Run": "ama_ray.api",
    "RunConfig": "ama_ray.config",
    "SearchSpace": "ama_ray.space.search_space",
    "Trial": "ama_ray.scores.trial",
    "UserError": "ama_ray.errors",
    "search": "ama_ray.api",
}


def __getattr__(name: str) -> Any:
    # Loaded on first use: `import ama_ray` and the command line's help must not wait for torch, Ray and vLLM.
    if name not in _HOMES:
        raise AttributeError(f"module 'ama_ray' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
