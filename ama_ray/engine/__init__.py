"""Everything that touches vLLM: the engine of a trial, the worker extension that swaps weights, the deep check."""
