"""How a run file names the callbacks of Ray Tune that a search calls."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from ama_ray.config.base import Called, listed

TRACKERS = {"tensorboard": "tensorboardX", "mlflow": "mlflow", "wandb": "wandb"}
"""By name, the package that each needs."""
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def _known(name: str) -> str:
    if name in TRACKERS or _DOTTED.fullmatch(name):
        return name
    raise ValueError(
        f"there is no callback {name!r}; name one of {', '.join(TRACKERS)}, or a class by its dotted path, such as "
        "ray.tune.logger.JsonLoggerCallback"
    )


Callbacks = Annotated[
    tuple[Annotated[str, AfterValidator(_known), Called("`tensorboard`, `mlflow`, `wandb` or a dotted path")], ...],
    BeforeValidator(listed),
    Field(description="who else hears of every trial: trackers, or Ray Tune's classes by their path"),
]
"""Names among `TRACKERS`, or dotted paths of classes."""
