"""Where the engine of a trial comes from: started in its own process, or leased from a server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ama_ray.config import Engine as EngineSettings
    from ama_ray.engine.engine import Engine
    from ama_ray.engine.remote import RemoteEngine
    from ama_ray.tuning.object_store import StoredEndpoints


class EngineSource(Protocol):
    """Gives this process an engine with both endpoints attached."""

    def get(self) -> Engine:
        """Starts or leases it."""


@dataclass(frozen=True)
class InProcess:
    """Starts an engine in this process, whose endpoints are in Ray's object store.

    Attributes:
        folder: What vLLM starts on.
        settings: Precision and resources.
        context_length: Tokens of context it must take.
        endpoints: Both, some parts perhaps still under way.
    """

    folder: Path
    settings: EngineSettings
    context_length: int
    endpoints: StoredEndpoints

    def get(self) -> Engine:
        """Starts it, and waits for the endpoints."""
        from ama_ray.engine.in_process import InProcessEngine

        engine = InProcessEngine(self.folder, self.settings, self.context_length)
        engine.attach(self.endpoints.get())
        return engine


@dataclass(frozen=True)
class Served:
    """Leases a server that `ama-ray engine` started; it keeps the endpoints itself.

    Attributes:
        urls: Of the servers, any of which will do.
        group_of: Group by name of every tensor that differs between base and aligned.
        key: Of the servers; in no `repr`, so in no log.
    """

    urls: tuple[str, ...]
    group_of: Mapping[str, str]
    key: str | None = field(repr=False)

    def get(self) -> RemoteEngine:
        """Leases one, and has it load the endpoints."""
        from ama_ray.engine.remote import RemoteEngine

        engine = RemoteEngine(self.urls, self.key)
        engine.attach_pair(self.group_of)
        return engine
