"""A server of this project on an application without an engine, and requests to it byte by byte."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from ama_ray.config import EngineSettings
from ama_ray.engine.server.clients import for_clients
from ama_ray.engine.server.openai_app import quiet_server
from ama_ray.engine.server.settings import ServerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp

WAIT = 10.0
"""Seconds for whatever a test waits for."""


@contextmanager
def served(app: ASGIApp, key: str | None = None) -> Iterator[int]:
    """Serves in a thread, as the commands do; gives the port."""
    listening = ServerSettings(EngineSettings(), port=0, key=key).listen()
    listening.listen()
    server = quiet_server(for_clients(app, key))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])))
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(WAIT)
        assert not thread.is_alive()


def connect(port: int, sent: bytes = b"") -> socket.socket:
    """A connection, on which something has been sent."""
    connection = socket.create_connection(("127.0.0.1", port), WAIT)
    connection.sendall(sent)
    return connection


def read(connection: socket.socket) -> bytes:
    """What comes until the server ends the connection; empty where it does so at once."""
    parts = []
    try:
        while part := connection.recv(2**16):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def status(port: int, sent: bytes) -> int:
    """The status of the answer to a request, which ends with `connection: close`; 0 where there is none."""
    with closing(connect(port, sent)) as connection:
        answer = read(connection)
    return int(answer.split(b" ", 2)[1]) if answer else 0


def request(method: str, target: str, *headers: str, host: str = "127.0.0.1", body: str = "") -> bytes:
    """The bytes of a request, as somebody types them."""
    head = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close", *headers]
    if body:
        head += [f"Content-Length: {len(body)}", "Content-Type: application/json"]
    return ("\r\n".join(head) + f"\r\n\r\n{body}").encode("latin-1")
