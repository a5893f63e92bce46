"""Who is answered: with a key, who has it; without one, whoever is on this machine, but no page of another site."""

from __future__ import annotations

import hashlib
import secrets
from http import HTTPStatus
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse

from ama_ray.engine.server.limits import WholeBodies

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

OPEN = ("/health",)
"""Paths that need no key."""
_OWN = (None, "none", "same-origin")
"""What `Sec-Fetch-Site` says of a request that no page of another site makes; only browsers send it."""


def for_clients(app: ASGIApp, key: str | None) -> ASGIApp:
    """An application that answers only whom it should, and reads nobody else's bodies.

    Args:
        app: That answers.
        key: What clients must show; without one, it listens on loopback.
    """
    whole = WholeBodies(app)
    return OwnSite(whole) if key is None else RequireKey(whole, key)


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


class OwnSite:
    """Middleware that answers 403 to what a page of another site has a browser ask.

    Such a page reaches loopback, and needs to read no answer to do harm. Its requests have its own origin or, where its
    name was pointed at loopback (DNS rebinding), its own host.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Guards an application that listens on loopback."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on what was asked under a name of loopback, by no page or one of this server."""
        if scope["type"] in ("http", "websocket") and not _is_own(Headers(scope=scope)):
            said = "without a key, requests of web pages and under other hosts than loopback's are not answered"
            await JSONResponse({"error": said}, status_code=HTTPStatus.FORBIDDEN)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine alone."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _is_own(headers: Headers) -> bool:
    host, origins = headers.get("host", ""), headers.getlist("origin")
    try:
        named = urlsplit(f"//{host}").hostname or ""
    except ValueError:  # such as a bracket that is not closed
        return False
    same = all(origin.lower() == f"http://{host.lower()}" for origin in origins)
    return same and is_loopback(named) and headers.get("sec-fetch-site") in _OWN


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
