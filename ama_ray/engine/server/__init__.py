"""Engines as servers: one that searches lease, and one in which every point of a run is a model."""
