"""`Keywords`: the fields of a run file as keyword arguments of `search()`, for editors and type checkers.

A test holds them against `RunConfig`; only what Python may give in other ways than a file has other types here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from optuna.samplers import BaseSampler

    from ama_ray.config.aligned import Mix
    from ama_ray.config.delta import Delta
    from ama_ray.config.distill import Distill
    from ama_ray.config.engine import EngineSettings
    from ama_ray.config.fields import Towers
    from ama_ray.config.report import Report
    from ama_ray.config.search import Budget, Stop, TokenCost

    Mapped = Mapping[str, Any]


class Keywords(TypedDict, total=False):
    """Fields of `RunConfig`; mappings stand for parts of it."""

    base: str | Path
    aligned: str | Path | Mapped | Sequence[str | Path | Mapped]
    mix: Mix | None
    delta: Delta | Mapped | str | None
    space: str | Path | Mapped
    range: tuple[float, float] | None
    towers: Towers
    reward: Mapped | Sequence[Mapped]
    tax: Sequence[Mapped]
    allow_test_split: bool
    trials: int
    sampler: str | BaseSampler | type[BaseSampler]
    warm_start: Sequence[str | Path]
    mean_ratio: float | None
    stop: Stop | Mapped | None
    budget: Budget | Mapped | None
    unclear_trade: Literal["stop", "go-on"]
    early_stopping: bool
    tokens: TokenCost | Mapped
    constraints: Mapping[str, str]
    reference: Mapping[str, float]
    distill: Distill | Mapped
    report: Report | Mapped
    seed: int
    out: str | Path
    storage: str | None
    mirror: str | None
    callbacks: str | Sequence[Any]
    engine: EngineSettings | Mapped
