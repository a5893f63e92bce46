"""Reward models: classifiers on vLLM or transformers."""
