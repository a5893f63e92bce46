"""In which precision an engine computes, so that what is scored is what is exported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ama_ray.errors import UserError

if TYPE_CHECKING:
    from ama_ray.checkpoints.pair import Pair
    from ama_ray.config import EngineSettings


def resolved(engine: EngineSettings, pair: Pair) -> EngineSettings:
    """The settings with `dtype: auto` as the precision of the checkpoints.

    Raises:
        UserError: The precision asked for cannot hold the weights.
    """
    stored = str(pair.dtype).removeprefix("torch.")
    if engine.dtype == "auto":
        return engine.model_copy(update={"dtype": stored})
    if engine.dtype not in (stored, "float32"):
        raise UserError(
            f"engine.dtype: {engine.dtype} cannot hold the {stored} weights of {pair.aligned.folder}, so that what is "
            f"scored would not be what is exported; use {stored} or float32, or convert both checkpoints."
        )
    return engine
