"""Streams of a GPU as late, or as early, as they may be: what is not ordered by an event shows on a CPU too."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Point = tuple["LazyStream", int]
"""A stream, and how many of its operations."""


class LazyStream:
    """Does its operations in order, and none before somebody waits for it, unless it is `eager`."""

    def __init__(self, *, eager: bool) -> None:
        self.operations: list[Callable[[], object]] = []
        self.done = 0
        self.eager = eager

    def add(self, operation: Callable[[], object]) -> None:
        self.operations.append(operation)
        if self.eager:
            self.synchronize()

    def reach(self, count: int) -> None:
        while self.done < count:
            operation = self.operations[self.done]
            self.done += 1
            operation()

    def synchronize(self) -> None:
        self.reach(len(self.operations))

    def wait(self, point: Point | None) -> None:
        if point is not None:
            stream, count = point
            self.add(lambda: stream.reach(count))

    def wait_event(self, event: LazyEvent) -> None:
        self.wait(event.point)

    def wait_stream(self, stream: LazyStream) -> None:
        self.wait((stream, len(stream.operations)))


class LazyEvent:
    """The end of what a stream had to do when this was recorded."""

    def __init__(self) -> None:
        self.point: Point | None = None

    def record(self, stream: LazyStream) -> None:
        self.point = stream, len(stream.operations)

    def synchronize(self) -> None:
        if self.point is not None:
            stream, count = self.point
            stream.reach(count)


class LazyCuda(TorchFunctionMode):
    """Puts these in the place of `torch.cuda`'s, and `torch.lerp` and copies that need not block on them."""

    def __init__(self, monkeypatch: Any, *, eager_copies: bool, eager_arithmetic: bool) -> None:
        super().__init__()
        self.arithmetic = LazyStream(eager=eager_arithmetic)
        self.copies = LazyStream(eager=eager_copies)
        self.current = self.arithmetic
        monkeypatch.setattr(torch.cuda, "Stream", lambda device: self.copies)
        monkeypatch.setattr(torch.cuda, "Event", LazyEvent)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device: self.arithmetic)
        monkeypatch.setattr(torch.cuda, "stream", self.on)

    @contextmanager
    def on(self, stream: LazyStream) -> Iterator[None]:
        before, self.current = self.current, stream
        yield
        self.current = before

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.Tensor.copy_ and kwargs.get("non_blocking"):
            self.current.add(lambda: self._now(func, args, kwargs))
            return args[0]
        if func is torch.lerp:
            self.current.add(lambda: self._now(func, args, kwargs))
            return kwargs["out"]
        return func(*args, **kwargs)

    @staticmethod
    def _now(func: Any, args: Any, kwargs: Any) -> None:
        with torch._C.DisableTorchFunction():  # else it would come back here
            func(*args, **kwargs)
