"""What `ama-ray search` shows in a terminal while it runs."""

from ama_ray.cli.live.view import LiveView

__all__ = ["LiveView"]
