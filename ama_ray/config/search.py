"""How a run file says which ratios are tried: the sampler, and the points it starts from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ama_ray.config.base import Called, File, named_or_dotted

SAMPLERS = ("auto", "nehvi", "gp", "tpe", "nsga2", "nsga3", "random")

Sampler = Annotated[
    str,
    named_or_dotted("sampler", SAMPLERS, "optuna.samplers.QMCSampler"),
    Called(f"{', '.join(f'`{name}`' for name in SAMPLERS)} or a dotted path"),
]
"""A name among `SAMPLERS`, or the dotted path of a class."""

WarmStart = Annotated[Literal["uniform", "parts", "distill"] | File, Field(union_mode="left_to_right")]
"""One of these names, or the folder of an earlier run; `./parts` is a folder."""
