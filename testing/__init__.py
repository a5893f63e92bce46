"""What tests and benchmarks share: real clusters, servers, searches in processes of their own, and faults."""
