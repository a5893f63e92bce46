"""The miniature: a bundled pair of tiny Llamas with a real alignment tax.

The folder holds four checkpoints (`base`, and three aligned ones: `rsf`, `dpo`, `rloo`), their
probes and reward prompts, the reward function, and the recipe that trained them.
"""

from ama_ray.miniature.folder import ROOT

__all__ = ["ROOT"]
