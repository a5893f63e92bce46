"""Samplers behind one name: what chooses the ratios of a search."""

from ama_ray.tuning.samplers.context import SamplerContext, ScoreAware
from ama_ray.tuning.samplers.factory import check, make

__all__ = ["SamplerContext", "ScoreAware", "check", "make"]
