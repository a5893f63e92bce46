"""The front of a run, its hypervolume, and the choice of one of its points. Imports no torch, ray or vllm."""

from ama_ray.pareto.hypervolume import hypervolume, non_dominated
from ama_ray.pareto.pareto_set import ParetoSet

__all__ = ["ParetoSet", "hypervolume", "non_dominated"]
