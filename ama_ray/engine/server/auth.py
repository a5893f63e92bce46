"""`RequireKey`: no answer without the key."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

OPEN = ("/health",)
"""Paths that need no key."""


class RequireKey:
    """Middleware that answers 401 where the bearer token of a request is not the key, on every route."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        """Guards an application."""
        self._app = app
        self._digest = _digest(key)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on what has the key."""
        if scope["type"] in ("http", "websocket") and scope["path"] not in OPEN:
            scheme, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not secrets.compare_digest(_digest(token), self._digest):
                refusal = JSONResponse({"error": "a key is needed, as a bearer token"}, status_code=401)
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
