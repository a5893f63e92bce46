"""`PointSwitch`: which point's weights are in, and whose requests run. Plain asyncio, without an engine."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


class DialError(RuntimeError):
    """A switch has failed: what weights are in is not known, and no request is let in any more."""


@dataclass(eq=False)
class _Request:
    """One request: for which point, and when it was let in or given up."""

    point: str
    decided: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class PointSwitch:
    """Lets requests in point by point, so that each runs while its own point is in, and only then.

    Requests stand in one queue. While the first of it is for the point that is in, all for that point are let in at
    once. As soon as the first is for another, nobody is let in until the running requests have ended; then that
    request's point is switched in, and all that wait for it run together. So the point that has waited longest is
    always next, and no stream of requests keeps the others out.

    Attributes:
        point: What is in; None before the first switch, during one, and after one that failed.
        failure: Why the last switch failed; no request is let in after that.
    """

    def __init__(self, switch: Callable[[str], Awaitable[None]]) -> None:
        """Starts with no point in.

        Args:
            switch: Brings a point's weights in; never called while a request runs, nor twice at a time.
        """
        self._switch = switch
        self._waiting: dict[_Request, None] = {}  # a set that keeps the order
        self._running: set[_Request] = set()
        self._switching: asyncio.Task[None] | None = None
        self.point: str | None = None
        self.failure: Exception | None = None

    @asynccontextmanager
    async def at(self, point: str, unless: asyncio.Future[Any] | None = None) -> AsyncIterator[bool]:
        """Waits until a point is in, and keeps it in until the end of the context.

        Args:
            point: The point that the request asks.
            unless: Ends the waiting when it is done: the client has gone.

        Yields:
            Whether the point is in; false where `unless` came first.

        Raises:
            DialError: A switch has failed, now or earlier.
        """
        self._check()
        request = _Request(point)
        self._waiting[request] = None
        self._go_on()
        try:
            await asyncio.wait({request.decided, unless or request.decided}, return_when=asyncio.FIRST_COMPLETED)
            self._check()
            yield request in self._running
        finally:
            self._waiting.pop(request, None)
            self._running.discard(request)
            self._go_on()

    def _check(self) -> None:
        if self.failure is not None:
            raise DialError(f"The weights of this server are not sound any more ({self.failure})") from self.failure

    def _go_on(self) -> None:
        if self._switching is not None or self.failure is not None:
            return
        if not (first := next(iter(self._waiting), None)):
            return
        if first.point == self.point:
            self._let_in()
        elif not self._running:
            self._switching = asyncio.create_task(self._turn_to(first.point))

    def _let_in(self) -> None:
        for request in [request for request in self._waiting if request.point == self.point]:
            del self._waiting[request]
            self._running.add(request)
            request.decided.set_result(None)

    async def _turn_to(self, point: str) -> None:
        self.point = None
        try:
            await self._switch(point)
        except Exception as error:  # whatever it was, the weights are in doubt
            self.failure = error
            for request in self._waiting:
                request.decided.set_result(None)
            return
        self._switching, self.point = None, point
        self._let_in()  # also where another has come to wait longest: the switch was for these
        self._go_on()
