"""`OpenAIAddress`: where the weights that are live in an engine answer like OpenAI's API. Imports no vllm."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class OpenAIAddress:
    """What a client needs.

    Attributes:
        url: Up to and including `/v1`.
        model: The name that requests give as `model`.
        key: The bearer token, None where none is asked for; it is in no `repr`, so in no log.
    """

    url: str
    model: str
    key: str | None = field(repr=False)
