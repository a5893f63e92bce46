"""Probes: benchmarks turned into requests to the engine, and its answers into statistics per item."""
