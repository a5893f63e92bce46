"""What `ama-ray engine` and its clients agree on: addresses, and what a server says of itself. Imports no vllm."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

FACTS, LEASE = "/ama_ray/engine", "/ama_ray/lease"
RUN, CALL, RESET = "/ama_ray/run", "/ama_ray/call", "/ama_ray/reset"
LEASE_HEADER = "x-ama-ray-lease"
METHODS = (
    "attach_pair",
    "count_pair",
    "differing",
    "differing_weights",
    "keep",
    "keep_scratch",
    "load_merge",
    "swap",
)
"""Methods of `PairExtension` that a client may call."""


class Facts(BaseModel):
    """What a server says of itself.

    Attributes:
        sources: What it was started with, as `Pair.read` takes it: folders or hub ids, and the operator.
        checksum: `Pair.checksum`.
        dtype: Precision of the engine.
        context_length: Tokens of context it takes.
        vocabulary_size: Token ids that the model knows.
        version: The version of vLLM.
        place: Where the endpoints are to lie.
        patched: Whether this project has changed vLLM itself, as it does on a CPU.
    """

    sources: dict[str, Any]
    checksum: str
    dtype: str
    context_length: int
    vocabulary_size: int
    version: str
    place: str
    patched: bool
