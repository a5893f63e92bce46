"""What samplers find: fronts, coverage, stopping."""
