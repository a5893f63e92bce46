"""How a run file names the callbacks of Ray Tune that a search calls."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from ama_ray.config.base import Called, listed, named_or_dotted

TRACKERS = {"tensorboard": "tensorboardX", "mlflow": "mlflow", "wandb": "wandb"}
"""By name, the package that each needs."""

Callbacks = Annotated[
    tuple[
        Annotated[
            str,
            named_or_dotted("callback", TRACKERS, "ray.tune.logger.JsonLoggerCallback"),
            Called("`tensorboard`, `mlflow`, `wandb` or a dotted path"),
        ],
        ...,
    ],
    BeforeValidator(listed),
    Field(description="who else hears of every trial: trackers, or Ray Tune's classes by their path"),
]
"""Names among `TRACKERS`, or dotted paths of classes."""
