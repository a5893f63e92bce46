"""How benchmarks compare a reply with their answers."""
