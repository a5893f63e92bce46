"""The recipe that trained the miniature: `python -m ama_ray.miniature.recipe.train`."""
