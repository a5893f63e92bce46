"""`PointMiddleware`: a request that weights answer waits for its point, and keeps it in until it is answered."""

from __future__ import annotations

import asyncio
import json
from contextlib import nullcontext
from contextvars import ContextVar
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

from ama_ray.engine.server.limits import Outbox
from ama_ray.engine.server.point_switch import DialError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from ama_ray.engine.server.point_switch import PointSwitch

READING = ("GET", "HEAD", "OPTIONS")
"""Methods that ask for no weights: the list of points, health, metrics, the documentation."""
ANSWERING = ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages")
"""Paths whose answers are a point's. What else vLLM answers is left out, as it is not known to name its model."""
COUNTING = ("/tokenize", "/detokenize", "/v1/messages/count_tokens")
"""Paths that take a model's name and only its tokenizer, which all points share."""
ASKED: ContextVar[str] = ContextVar("ASKED")
"""The name by which the request at hand has asked for its point."""


class PointMiddleware:
    """Middleware that lets a request through while the point that it names as its model is in."""

    def __init__(self, app: ASGIApp, switch: PointSwitch, points: Mapping[str, str]) -> None:
        """Guards an application.

        Args:
            app: vLLM's.
            switch: What switches the weights from point to point.
            points: The point of every name that a request may use.
        """
        self._app = app
        self._switch = switch
        self._points = points

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on what asks for no weights, holds what does, and answers 404 to what is neither."""
        if scope["type"] == "lifespan" or (scope["type"] == "http" and scope["method"] in READING):
            await self._app(scope, receive, send)
        elif scope["type"] == "http" and scope["method"] == "POST" and scope["path"] in (*ANSWERING, *COUNTING):
            await self._hold(scope, receive, send)
        elif scope["type"] == "http":
            await _refusal(HTTPStatus.NOT_FOUND, f"{scope['path']} is not served.")(scope, receive, send)
        else:
            await send({"type": "websocket.close"})

    async def _hold(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await Request(scope, receive).body()
        except ClientDisconnect:
            return
        asked = _parsed(body)
        name = asked.get("model")
        if not isinstance(name, str) or name not in self._points:
            message = f"There is no point {name!r}; as `model`, name one of {', '.join(self._points)}."
            await _refusal(HTTPStatus.NOT_FOUND, message, "model")(scope, receive, send)
        elif asked.get("background"):
            # It would be answered after its response, by whatever is in then.
            message = "`background` is not served; wait for the answer."
            await _refusal(HTTPStatus.BAD_REQUEST, message, "background")(scope, receive, send)
        else:
            await self._answer(name, body, scope, receive, send)

    async def _answer(self, name: str, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        # After the body there is one more message, that the client has gone; vLLM gets it once it has the body.
        gone = asyncio.ensure_future(receive())
        first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return first.pop() if first else await asyncio.shield(gone)

        token, outbox = ASKED.set(name), Outbox(send)
        try:
            at_once = scope["path"] in COUNTING
            async with nullcontext(True) if at_once else self._switch.at(self._points[name], unless=gone) as is_in:
                if is_in:
                    await self._app(scope, replay, outbox.put)
            await outbox.sent()
        except DialError as error:
            await _refusal(HTTPStatus.SERVICE_UNAVAILABLE, f"{error}; it ends.")(scope, receive, send)
        finally:
            ASKED.reset(token)
            gone.cancel()
            outbox.close()


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(body)
    except ValueError:
        return {}
    return asked if isinstance(asked, dict) else {}


def _refusal(status: HTTPStatus, message: str, param: str | None = None) -> JSONResponse:
    """An error as OpenAI's clients read it."""
    kind = {HTTPStatus.NOT_FOUND: "NotFoundError", HTTPStatus.BAD_REQUEST: "BadRequestError"}.get(status, "ServerError")
    error = {"message": message, "type": kind, "param": param, "code": int(status)}
    return JSONResponse({"error": error}, status_code=status)
