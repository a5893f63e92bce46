"""The folder of a run: every file of it is written and read here."""
