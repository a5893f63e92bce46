"""The way to the job server, and one that is no more than its version behind a token."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest

from ama_ray.errors import UserError
from ama_ray.tuning import job_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
def no_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))


@pytest.mark.usefixtures("no_token")
def test_a_token_is_sent_where_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("right\n")
    with serving(None) as (address, seen):
        job_server.connect(address)
    assert set(seen) == {None}
    with serving("right") as (address, seen):
        job_server.connect(address)
    assert seen[0] is None
    assert set(seen[1:]) == {"Bearer right"}


@pytest.mark.usefixtures("no_token")
def test_what_is_wrong_with_a_cluster_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with serving("right") as (address, _):
        with pytest.raises(UserError, match=r"asks for a token, and there is none in .*token; put the cluster's there"):
            job_server.connect(address)
        (tmp_path / "token").write_text("wrong")
        with pytest.raises(UserError, match=r"does not take the token of .*token; put the cluster's there"):
            job_server.connect(address)
    with pytest.raises(UserError, match=r"no Ray cluster answers there"):
        job_server.connect(address)
    with pytest.raises(UserError, match=r"127\.0\.0\.1:6379: not the address of Ray's job server"):
        job_server.connect("127.0.0.1:6379")
