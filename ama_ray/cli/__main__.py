"""`python -m ama_ray.cli`."""

from ama_ray.cli.main import app

if __name__ == "__main__":
    app()
