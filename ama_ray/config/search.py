"""How a run file says which ratios are tried: the sampler, and the points it starts from."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from ama_ray.config.fields import Called, File, Model, Name, listed, named_or_dotted, shown_to_editors

AUTO = "auto"
SAMPLERS = {
    "nehvi": "ama_ray.tuning.samplers.nehvi:make",
    "gp": "ama_ray.tuning.samplers.gp:make",
    "tpe": "ama_ray.tuning.samplers.tpe:make",
    "nsga2": "ama_ray.tuning.samplers.nsga:NSGA2",
    "nsga3": "ama_ray.tuning.samplers.nsga:NSGA3",
    "random": "ama_ray.tuning.samplers.random:make",
}
"""By name, the address of what makes the sampler of a `SamplerContext`: a new one is a line here, and a file there."""

_NAMES = (AUTO, *SAMPLERS)

Sampler = Annotated[
    str,
    named_or_dotted("sampler", _NAMES, "optuna.samplers.QMCSampler"),
    shown_to_editors(_NAMES),
    Called(f"{', '.join(f'`{name}`' for name in _NAMES)} or a dotted path"),
]
"""`auto`, a name among `SAMPLERS`, or the dotted path of a class."""

WarmStart = Annotated[Literal["uniform", "parts", "distill"] | File, Field(union_mode="left_to_right")]
"""One of these names, or the folder of an earlier run; `./parts` is a folder."""

TRACKERS = {"tensorboard": "tensorboardX", "mlflow": "mlflow", "wandb": "wandb"}
"""By name, the package that each needs."""

Callbacks = Annotated[
    tuple[
        Annotated[
            str,
            named_or_dotted("callback", TRACKERS, "ray.tune.logger.JsonLoggerCallback"),
            shown_to_editors(TRACKERS),
            Called("`tensorboard`, `mlflow`, `wandb` or a dotted path"),
        ],
        ...,
    ],
    BeforeValidator(listed),
    Field(description="who else hears of every trial: trackers, or Ray Tune's classes by their path"),
]
"""Names among `TRACKERS`, or dotted paths of classes."""
_BOUND = re.compile(r"(<=|>=)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)")
Side = Literal["<=", ">="]


def parse_bound(bound: object) -> tuple[Side, float]:
    """Reads a bound such as `<= 0.02`.

    Returns:
        Its side and its limit.

    Raises:
        ValueError: It is no such string.
    """
    found = _BOUND.fullmatch(bound.strip()) if isinstance(bound, str) else None
    if found is None:
        raise ValueError(f"{bound!r} is no bound; write a string such as '<= 0.02' or '>= 3', with the quotes")
    return ("<=" if found[1] == "<=" else ">="), float(found[2])


def _tidy(bound: object) -> str:
    side, limit = parse_bound(bound)
    return f"{side} {limit!r}"


Bound = Annotated[
    str,
    BeforeValidator(_tidy, json_schema_input_type=Annotated[str, Field(pattern=rf"^\s*{_BOUND.pattern}\s*$")]),
    Called("bound such as `'<= 0.02'`"),
]
"""`<= x` or `>= x`."""

Bounds = dict[str, Bound]
"""By `tax`, `tokens`, a reward objective, `probe.NAME` or `family.NAME`; the last two are on its tax."""

Reference = dict[str, Annotated[float, Field(allow_inf_nan=False)]]
"""By objective."""


class TokenCost(Model):
    """The cost of replies: `tokens`, their mean number of tokens, those of the thinking included.

    It is a column of `trials.csv`, may be bounded (`constraints: {tokens: '<= 800'}`), and with `objective` is one of
    the search besides rewards and tax, minimised. Its error is over prompts or items.
    """

    of: Name | None = Field(
        None, description="the reward or probe whose replies are counted; default: the first reward"
    )
    objective: bool = Field(False, description="whether fewer of them are an objective")


class Budget(Model):
    """What a run may spend: the search ends where what is left is what the report takes."""

    tokens: int | None = Field(None, ge=1, description="read by the engines, and at most generated, in the whole run")
    hours: float | None = Field(None, gt=0, description="from the start of the command, by the pace of the trials")

    @model_validator(mode="after")
    def _limits_something(self) -> Budget:
        if self.tokens is None and self.hours is None:
            raise ValueError("give `tokens`, `hours` or both")
        return self

    def __str__(self) -> str:
        """In words."""
        given = [f"{self.tokens:,} tokens" if self.tokens else "", f"{self.hours:g} hours" if self.hours else ""]
        return " and ".join(filter(None, given))


class Stop(Model):
    """What ends a search early; the report follows as it does after the last trial."""

    patience: int = Field(
        ge=1,
        description="end once so many trials of the sampler in a row have won no hypervolume beyond error; "
        "10 or more, as the first ones of a sampler often win nothing",
    )
