"""What a run file asks of a trial beyond its objectives: bounds, and a point from which volume counts."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from ama_ray.config.base import Called

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


Bound = Annotated[str, BeforeValidator(_tidy), Called("bound such as `'<= 0.02'`")]
"""`<= x` or `>= x`."""

Bounds = dict[str, Bound]
"""By `tax`, a reward objective, `probe.NAME` or `family.NAME`; the last two are on the tax of the probe or family."""

Reference = dict[str, Annotated[float, Field(allow_inf_nan=False)]]
"""By objective."""
