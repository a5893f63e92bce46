"""A search while it runs, in a terminal or in a notebook."""

from ama_ray.live.notebook import NotebookView
from ama_ray.live.view import LiveView

__all__ = ["LiveView", "NotebookView"]
