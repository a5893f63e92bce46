"""Optimizers of the neighbours of the miniature's aligned models, which benchmarks and tests share."""
