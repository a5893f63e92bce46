"""Checkpoints on disk: opening, comparing and merging them."""

from ama_ray.checkpoints.pair import Pair

__all__ = ["Pair"]
