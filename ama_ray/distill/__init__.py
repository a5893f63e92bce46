"""The paper's own optimiser, proxy distillation: ratios under which the merge says what aligned is rewarded for."""

from ama_ray.distill.distillation import Distilled, distill

__all__ = ["Distilled", "distill"]
