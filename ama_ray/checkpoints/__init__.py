"""Checkpoints on disk: opening, comparing and merging them."""
