"""Rewards: prompts turned into requests for sampled replies, and replies into a score each."""
