"""Ray Tune and Optuna: the search, from a run file to the Pareto set."""
