"""Items of files: reading them, dividing them into splits, and turning them into tokens."""
