"""Faults that a search must survive, one by one: `python -m benchmarks.faults`."""
