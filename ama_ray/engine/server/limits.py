"""What a client may take of a server: connections, time and memory. Imports no vllm."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUESTS = 512
"""Connections, and so requests, from which on an answer is 503."""
CONNECTIONS = 640
"""Connections from which on a further one is closed; with what vLLM opens, they are fewer than 1,024 files."""
HEAD_SECONDS = 10.0
"""For a request's line and headers, from the connection or from the answer before."""
BODY_SECONDS = 120.0
"""For the body of a request."""
BODY = 2**28
"""Bytes of a body. Those of a trial with 10,000 prompts of 4,000 tokens are as many."""
BODIES = 2**29
"""Bytes of the bodies of all requests together."""
UNREAD = 2**24
"""Bytes of an answer that wait for its client."""


def config(app: ASGIApp, lifespan: Literal["auto", "off"] = "auto") -> Config:
    """How uvicorn is to serve an application.

    h11 has a limit on headers, which httptools has not. What vLLM does with web sockets is speech.
    """
    return Config(
        app,
        http=_Protocol,
        lifespan=lifespan,
        ws="none",
        limit_concurrency=REQUESTS,
        log_level="critical",
        timeout_graceful_shutdown=1,
    )


class _Protocol(H11Protocol):
    """uvicorn's, with a limit on connections and on the time until the head of a request is there."""

    _ending: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            transport.abort()
        else:
            self._wait()

    def data_received(self, data: bytes) -> None:
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._wait_no_more()

    def on_response_complete(self) -> None:
        asked = self.cycle
        super().on_response_complete()  # may begin with the next request, which is there already
        if self.cycle is asked and not self.transport.is_closing():
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._wait_no_more()
        self._ending = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _wait_no_more(self) -> None:
        if self._ending is not None:
            self._ending.cancel()


class WholeBodies:
    """Middleware that passes a request on once its body is there, so that one who sends slowly holds nothing up."""

    def __init__(self, app: ASGIApp) -> None:
        """Stands in front of an application."""
        self._app = app
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reads the body within the limits."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        parts: list[bytes] = []
        try:
            announced = Headers(scope=scope).get("content-length", "0")
            if not await self._read(int(announced[:20]), receive, parts):
                return
            parts[:] = [b"".join(parts)]
            first: list[Message] = [{"type": "http.request", "body": parts[0], "more_body": False}]

            async def replay() -> Message:
                return first.pop() if first else await receive()

            await self._app(scope, replay, send)
        except _RefusedError as error:
            await JSONResponse({"error": str(error)}, error.status)(scope, receive, send)
        finally:
            self._held -= sum(map(len, parts))

    async def _read(self, announced: int, receive: Receive, parts: list[bytes]) -> bool:
        """Reads until the end; returns whether the client is still there."""
        length, more = 0, True
        _check_length(announced)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return False
                    part, more = message.get("body", b""), message.get("more_body", False)
                    length += len(part)
                    _check_length(length)
                    if self._held + len(part) > BODIES:
                        raise _RefusedError(
                            HTTPStatus.SERVICE_UNAVAILABLE, "too much beside those of others; ask later"
                        )
                    parts.append(part)
                    self._held += len(part)
        except TimeoutError:
            raise _RefusedError(HTTPStatus.REQUEST_TIMEOUT, f"not there after {BODY_SECONDS:.0f} s") from None
        return True


class _RefusedError(Exception):
    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(f"the body of the request is {why}")
        self.status = int(status)


def _check_length(length: int) -> None:
    if length > BODY:
        raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"longer than {BODY} bytes")


class Outbox:
    """What waits for a client that reads slowly, so that only its own answer takes long.

    Without it, a point would stay in until the last of its clients has read the last of its answer.
    """

    def __init__(self, send: Send) -> None:
        """Sends with `send`, one message after the other."""
        self._send = send
        self._waiting: asyncio.Queue[Message | None] = asyncio.Queue()
        self._unread = 0
        self._sending = asyncio.create_task(self._all())

    async def put(self, message: Message) -> None:
        """Takes a message, and waits for nobody.

        Raises:
            OSError: Too much waits, or the client cannot be sent to.
        """
        self._unread += len(message.get("body", b""))
        if self._unread > UNREAD or self._sending.done():
            raise OSError(f"the client has left {self._unread} bytes unread")
        self._waiting.put_nowait(message)
        await asyncio.sleep(0)

    async def sent(self) -> None:
        """Waits until everything has been sent."""
        self._waiting.put_nowait(None)
        await self._sending

    def close(self) -> None:
        """Drops what waits."""
        self._sending.cancel()

    async def _all(self) -> None:
        while (message := await self._waiting.get()) is not None:
            await self._send(message)
            self._unread -= len(message.get("body", b""))
