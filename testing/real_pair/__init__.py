"""The parts of the benchmark of a real pair that need no engine: its data, its losses, its run file, its table."""
