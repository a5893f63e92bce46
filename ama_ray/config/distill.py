"""Proxy distillation in a run file: the paper's own optimiser, and where its responses come from."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ama_ray.config.fields import File, Model


class Distill(Model):
    """Proxy distillation (arXiv 2309.06256, section 5): responses of aligned, and how the ratios are fitted to them.

    Without `responses`, aligned is sampled on the reward prompts of the search split, and the replies with the highest
    reward are kept; of several rewards, each keeps that share of the replies to its own prompts.

    The paper's own values are 2,000 responses of the 5,000 best, AdamW at 2e-5 to 4e-5, batches of 1, `epsilon`
    between 0 and 0.9 as it turned out best. With the few hundred steps that suffice for a handful of ratios, its
    learning rate would move them by less than 0.01.
    """

    means: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (0.2, 0.4, 0.6, 0.8), min_length=1, description="one point for each: the plain mean of its ratios"
    )
    responses: File | None = Field(None, description="rows: prompt, response; instead of sampling aligned")
    samples: int = Field(8, ge=1, description="replies of aligned per prompt; one where the temperature is 0")
    keep: float = Field(0.4, gt=0, le=1, description="share of the replies, those with the highest reward")
    items: int = Field(2000, ge=1, description="at most so many responses, drawn from those kept")
    epsilon: float = Field(0.1, ge=0, description="added to the sigmoid of every score: more keeps the ratios closer")
    learning_rate: float = Field(0.1, gt=0, description="highest, of the scores")
    batch: int = Field(8, ge=1, description="responses per step; every response is used once")
    block: int = Field(512, ge=2, description="most tokens of prompt and response; what is longer is cut at its end")
    pull: float = Field(0, ge=0, description="weight of the mean distance of the ratios from their mean, an L1 penalty")
