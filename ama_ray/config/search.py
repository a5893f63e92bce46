"""How a run file says which ratios are tried: the sampler, and the points it starts from."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ama_ray.config.base import Called, File

SAMPLERS = ("auto", "nehvi", "gp", "tpe", "nsga2", "nsga3", "random")
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def _known(name: str) -> str:
    if name in SAMPLERS or _DOTTED.fullmatch(name):
        return name
    raise ValueError(
        f"there is no sampler {name!r}; name one of {', '.join(SAMPLERS)}, or a class by its dotted path, such as "
        "optuna.samplers.QMCSampler"
    )


Sampler = Annotated[
    str, AfterValidator(_known), Called(f"{', '.join(f'`{name}`' for name in SAMPLERS)} or a dotted path")
]
"""A name among `SAMPLERS`, or the dotted path of a class."""

WarmStart = Annotated[Literal["uniform", "parts", "distill"] | File, Field(union_mode="left_to_right")]
"""One of these names, or the folder of an earlier run; `./parts` is a folder."""
