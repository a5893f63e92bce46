"""Search spaces: which tensors share a ratio. Imports no torch, ray or vllm."""

from ama_ray.space.groups import Groups
from ama_ray.space.search_space import GroupRule, SearchSpace

__all__ = ["GroupRule", "Groups", "SearchSpace"]
