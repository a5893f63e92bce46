"""Where trials get their engines, with their endpoints: in Ray's object store, read by every rank, or on a server."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import ray

from ama_ray.engine.endpoints import Endpoints

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from ama_ray.checkpoints.pair import Pair
    from ama_ray.config import EngineSettings
    from ama_ray.engine.endpoints import Span, StoredTensor
    from ama_ray.engine.engine import Engine
    from ama_ray.engine.in_process import InProcessEngine
    from ama_ray.engine.remote import RemoteEngine
    from ama_ray.space.groups import Groups

PART = 2**28
"""Bytes, about, that an endpoint comes in: what a copy that is no view takes while it is stored."""


class RunEndpoints(Protocol):
    """The endpoints of a run, as every engine of it gets them."""

    def attach_to(self, engine: InProcessEngine) -> None:
        """Attaches them to an engine that still is as it started."""

    def follow(self, tell: Callable[[float], None]) -> None:
        """Waits until all is there that engines share; tells the share of it now and then."""

    def keep(self) -> None:
        """Has them survive the nodes that hold them, for as long as this process lives."""


@dataclass(frozen=True)
class StoredEndpoints:
    """References to the endpoints in an engine's layout, some of them still under way.

    Attributes:
        base: Parts of `Endpoints.base`.
        aligned: The same of each of `Endpoints.aligned`.
        spans: `Endpoints.spans`.
        starts_on: The endpoint that engines start on: 0 for base, 1 for the first aligned model.
    """

    base: tuple[Any, ...]
    aligned: tuple[tuple[Any, ...], ...]
    spans: Any
    starts_on: int

    @classmethod
    def by(cls, loader: Any, pair: Pair, groups: Groups) -> StoredEndpoints:
        """Has an `EngineActor` load and store them, which leaves the last aligned model live in it.

        Tensors of an aligned model that are equal in base are stored once, and no swap touches them.
        """
        parts = 2 + pair.num_bytes // len(pair.endpoints) // PART
        spans = loader.find_spans.remote(pair.shapes, pair.dtypes, pair.numbers(groups))
        load = loader.load.options(num_returns=parts).remote
        base, *aligned = pair.endpoints
        return cls(
            tuple(load(base, pair.dtype, parts)),
            tuple(tuple(load(each, pair.dtype, parts, spans, model)) for model, each in enumerate(aligned)),
            spans,
            pair.starts_on,
        )

    @property
    def _parts(self) -> list[Any]:
        return [*self.base, *(part for of_model in self.aligned for part in of_model)]

    def follow(self, tell: Callable[[float], None]) -> None:
        """Waits until all is stored, or failed; tells the share of it after every part."""
        waiting = self._parts
        whole = len(waiting)
        while waiting:
            _, waiting = ray.wait(waiting)
            tell(1 - len(waiting) / whole)

    def keep(self) -> None:
        """Keeps a copy on this process's node for as long as the process lives, once all is stored.

        The nodes that hold the others can then all be lost, and those that come get theirs from here.
        """
        threading.Thread(target=self._hold, name="endpoints", daemon=True).start()

    def _hold(self) -> None:
        with suppress(ray.exceptions.RayError):  # whoever needs them says so
            held = [ray.get(part) for part in self._parts]
            threading.Event().wait()
            del held

    def attach_to(self, engine: InProcessEngine) -> None:
        """Waits for them and maps them."""
        engine.attach(self.get(), self.starts_on)

    def get(self) -> Endpoints:
        """Waits for the endpoints and maps them into this process; on a node that holds them, without a copy."""
        spans: list[dict[str, tuple[Span, ...]]] = ray.get(self.spans)
        return Endpoints(_whole(self.base), [_whole(parts) for parts in self.aligned], spans)


def _whole(parts: tuple[Any, ...]) -> dict[str, StoredTensor]:
    return {name: tensor for part in ray.get(list(parts)) for name, tensor in part.items()}


@dataclass(frozen=True)
class EndpointsByRank:
    """What the processes of an engine on several GPUs need, to read each its part of the pair.

    Attributes:
        sources: What opens it, with folders that are the same on every node (`Pair.sources`).
        checksum: `Pair.checksum`.
        numbers: Of every aligned model, the number of each tensor that differs from base.
    """

    sources: Mapping[str, Any]
    checksum: str
    numbers: Sequence[Mapping[str, str]]

    @classmethod
    def of(cls, pair: Pair, groups: Groups) -> EndpointsByRank:
        """Of an opened pair and the search space that was resolved for it."""
        return cls(pair.sources, pair.checksum, pair.numbers(groups))

    def attach_to(self, engine: InProcessEngine) -> None:
        """Has each of its processes attach its part."""
        engine.attach_pair(self.sources, self.checksum, self.numbers)

    def follow(self, tell: Callable[[float], None]) -> None:
        """Nothing to wait for: what engines share is there once the first has attached it."""

    def keep(self) -> None:
        """Nothing to keep: they are read again."""


class EngineSource(Protocol):
    """Gives this process an engine with its endpoints attached."""

    def get(self) -> Engine:
        """Starts or leases it."""


@dataclass(frozen=True)
class InProcess:
    """Starts an engine in this process.

    Attributes:
        folder: The checkpoint that vLLM starts on.
        settings: The precision and the resources of the engine.
        context_length: How many tokens of context the engine must take.
        endpoints: The endpoints, of which some parts may still be under way.
        of_pair: Arguments of vLLM by which it starts on the pair (`pair_arguments`).
        models: How many aligned models there are.
    """

    folder: Path
    settings: EngineSettings
    context_length: int
    endpoints: RunEndpoints
    of_pair: Mapping[str, Any]
    models: int = 1

    def get(self) -> Engine:
        """Starts it, and waits for the endpoints."""
        from ama_ray.engine.start import start_engine

        engine = start_engine(self.folder, self.settings, self.context_length, self.of_pair, self.models)
        self.endpoints.attach_to(engine)
        return engine


@dataclass(frozen=True)
class Served:
    """Leases a server that `ama-ray engine` started; it keeps the endpoints itself.

    Attributes:
        urls: The addresses of the servers, any of which will do.
        numbers: Of every aligned model, the number of each tensor that differs from base.
        key: The key that the servers ask for; it is in no `repr`, so in no log.
    """

    urls: tuple[str, ...]
    numbers: Sequence[Mapping[str, str]]
    key: str | None = field(repr=False)

    def get(self) -> RemoteEngine:
        """Leases one, and has it load the endpoints."""
        from ama_ray.engine.remote import RemoteEngine

        engine = RemoteEngine(self.urls, self.key)
        engine.attach_pair(self.numbers)
        return engine
