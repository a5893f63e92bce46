"""Where endpoints lie while trials run: on the accelerator, in locked host memory, or just in the object store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.config import EngineSettings

Place = Literal["accelerator", "pinned", "object_store"]

RESIDENT = 0.6
"""Share of an accelerator's memory that live weights and both endpoints may take: the rest is for the KV cache."""
UTILISATION = 0.9
"""Share of an accelerator's memory that a run takes in all."""


def place(settings: EngineSettings, folder: Path) -> tuple[Place, float]:
    """Chooses the place of the endpoints, and what share of the accelerator's memory is left to vLLM.

    Automatic is: on the accelerator where all three copies of the weights fit with room for a KV cache, else in locked
    host memory. Without an accelerator the live weights are beside the object store already.

    Args:
        settings: `endpoints` says where, or `auto`.
        folder: The checkpoint the engine starts on, whose files are as large as one endpoint at most.
    """
    if not torch.cuda.is_available():
        return "object_store", UTILISATION
    weights = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    _, whole = torch.cuda.mem_get_info()
    chosen: Place
    if settings.endpoints == "auto":
        chosen = "accelerator" if 3 * weights <= RESIDENT * whole else "pinned"
    else:
        chosen = settings.endpoints
    return chosen, UTILISATION - (2 * weights / whole if chosen == "accelerator" else 0.0)
