"""Rewards: prompts turned into requests for sampled replies, and replies into a score each."""

from ama_ray.reward.function import FunctionReward, ScorerError

__all__ = ["FunctionReward", "ScorerError"]
