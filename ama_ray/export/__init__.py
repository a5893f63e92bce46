"""A point of a run as a checkpoint that can be published: weights, model card, recipe. Imports no torch by itself."""

from ama_ray.export.hub import check_repo_id, push
from ama_ray.export.point import export_point
from ama_ray.export.reproduce import reproduce
from ama_ray.export.verify import verify

__all__ = ["check_repo_id", "export_point", "push", "reproduce", "verify"]
