"""Searches as jobs of a Ray cluster: sending them, following them, fetching what they found."""
