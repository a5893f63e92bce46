"""Damaged files of strangers, as many as there is time for."""
