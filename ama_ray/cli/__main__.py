"""`python -m ama_ray.cli`."""

from ama_ray.cli import app

if __name__ == "__main__":
    app()
