"""Scores: metrics, estimates with standard errors, objectives, constraints. Imports no torch, ray or vllm."""
