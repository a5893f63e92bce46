"""A real language model with a real trade between reward and tax, and a table of what its merges score."""
