"""The way to the job server, and one that is no more than its version behind a token."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.long


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


@pytest.fixture
def connect(tmp_path: Path) -> Callable[[str], str]:
    """Connects to an address, and returns the error, empty where there is none.

    In a process of its own: in one that has started Ray, Ray has turned its tokens on for good.
    """
    program = (
        "import sys; from ama_ray.errors import UserError; from ama_ray.jobs import client\n"
        "try: client.connect(sys.argv[1])\n"
        "except UserError as error: print(error)"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "token"), "RAY_ADDRESS": "127.0.0.1:1"}

    def run(address: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", program, address], check=True, env=environment, stdout=subprocess.PIPE, timeout=120
        )
        return done.stdout.decode().strip()

    return run


def test_a_token_is_sent_where_it_is_asked_for(tmp_path: Path, connect: Callable[[str], str]) -> None:
    (tmp_path / "token").write_text("right\n")
    with serving(None) as (address, seen):
        assert connect(address) == ""
    assert set(seen) == {None}
    with serving("right") as (address, seen):
        assert connect(address) == ""
    assert seen[0] is None
    assert set(seen[1:]) == {"Bearer right"}


def test_what_is_wrong_with_a_cluster_is_one_sentence(tmp_path: Path, connect: Callable[[str], str]) -> None:
    with serving("right") as (address, _):
        assert re.search(r"asks for a token, and there is none in .*token; put the cluster's there", connect(address))
        (tmp_path / "token").write_text("wrong")
        assert re.search(r"does not take the token of .*token; put the cluster's there", connect(address))
    assert "no Ray cluster answers there" in connect(address)
    assert "127.0.0.1:6379: not the address of Ray's job server" in connect("127.0.0.1:6379")
