"""A run in words and tables, for a terminal or a paper."""
