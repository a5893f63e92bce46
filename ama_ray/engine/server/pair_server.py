"""`ama-ray engine`: a vLLM OpenAI server whose weights a search can swap over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ama_ray.checkpoints.pair import Pair
from ama_ray.engine.server.application import Application, Guarded, PairServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from ama_ray.engine.server.settings import ServerSettings


def serve(base: str, aligned: str, settings: ServerSettings, tell: Callable[[str], None]) -> None:
    """Serves until a signal comes.

    Args:
        base: Folder or hub id of the checkpoint from before RLHF.
        aligned: The same from after RLHF, or a LoRA adapter over base.
        settings: Where, and what.
        tell: Called with a line of text as it starts.

    Raises:
        UserError: The pair is off, the address is taken or open to others without a key, or vLLM does not start, or
            has died.
    """
    listening = settings.listen()
    pair = Pair.open(base, aligned, settings.engine.dtype)
    for warning in pair.warnings:
        tell(f"warning: {warning}")
    PairServer(pair, (base, aligned), settings, listening, tell).run(_with_control)


async def _with_control(application: Application) -> Guarded:
    application.app.include_router(application.control.router(application.facts))
    return Guarded(application.app)
