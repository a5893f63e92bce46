"""As much of a job server as a client meets first: the version, behind a token."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def serving(token: str | None) -> Iterator[tuple[str, list[str | None]]]:
    """Its address, and the `Authorization` of each request that it has seen."""
    seen: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(given := self.headers.get("Authorization"))
            right = token is None or given == f"Bearer {token}"
            self.send_response(200 if right else 403 if given else 401)
            self.end_headers()
            self.wfile.write(json.dumps({"ray_version": "2.60.0", "version": "4"}).encode() if right else b"no")

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
