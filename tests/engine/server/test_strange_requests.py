"""Both servers, without an engine: who is answered, however a request is written, and what a client may take."""

from __future__ import annotations

import json
import time
from collections import Counter
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from starlette.responses import StreamingResponse

from ama_ray.engine.server import limits
from ama_ray.engine.server.control import Control
from ama_ray.engine.server.middleware import PointMiddleware
from ama_ray.engine.server.point_switch import PointSwitch
from ama_ray.engine.server.protocol import CALL, FACTS, LEASE, LEASE_HEADER, RUN, Facts
from tests.support.raw_http import connect, read, request, served, status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.types import ASGIApp, Receive, Scope, Send

KEY = "a-key-for-tests"
FACTS_HERE = Facts(
    sources={"base": "base", "aligned": ["aligned"], "delta": None},
    checksum="",
    dtype="float32",
    context_length=64,
    vocabulary_size=64,
    version="",
    place="",
    patched=False,
)
ASK = json.dumps({"model": "knee", "prompt": "hi"})


class Reached:
    """An application, and which requests came as far as it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.paths: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.paths.append(scope["path"])
        await self._app(scope, receive, send)


def vllm() -> FastAPI:
    """The routes of vLLM's application that matter here; a long answer is a megabyte for each of its tokens."""
    app = FastAPI()

    @app.get("/v1/models")
    @app.get("/health")
    async def listed() -> list[str]:
        return ["knee"]

    @app.post("/v1/completions")
    async def completions(asked: dict[str, Any]) -> StreamingResponse:
        async def said() -> AsyncIterator[bytes]:
            for _ in range(asked.get("max_tokens", 0)):
                yield b" " * 2**20
            yield json.dumps(asked["model"]).encode()

        return StreamingResponse(said())

    return app


def engine() -> ASGIApp:
    app = vllm()
    app.include_router(Control(None).router(FACTS_HERE))
    return app


def serve() -> ASGIApp:
    async def switch(point: str) -> None:
        pass

    return PointMiddleware(vllm(), PointSwitch(switch), {name: name for name in ("knee", "base")})


SERVERS = {"engine": engine, "serve": serve}


@pytest.fixture(scope="module", params=SERVERS)
def keyed(request: pytest.FixtureRequest) -> Iterator[tuple[int, Reached]]:
    app = Reached(SERVERS[request.param]())
    with served(app, KEY) as port:
        yield port, app


@pytest.fixture(scope="module", params=SERVERS)
def keyless(request: pytest.FixtureRequest) -> Iterator[tuple[int, Reached]]:
    app = Reached(SERVERS[request.param]())
    with served(app) as port:
        yield port, app


@pytest.mark.parametrize(
    ("method", "target"),
    [
        *(("GET", path) for path in ("/v1/models", "//v1/models", "/v1//models", "/v1/../v1/models", "/v1/models/")),
        *(("GET", path) for path in ("/V1/Models", "/v1/%6dodels", "/%2fv1/models", "/v1%2fmodels", "/v1/models%00")),
        *(("GET", path) for path in ("/health/../v1/models", "/health/%2e%2e/v1/models", "/health//v1/models")),
        *(("GET", path) for path in ("/health;/v1/models", "/health%20", "/health%0d%0a", "/HEALTH", "//health")),
        *(("GET", path) for path in ("http://127.0.0.1/v1/models", "http://x/health", "/v1/models?key=/health")),
        *((method, "/v1/models") for method in ("HEAD", "OPTIONS", "TRACE", "PUT", "get", "CONNECT")),
        *(("POST", path) for path in ("/v1/completions", CALL, RUN, "/health/../ama_ray/call")),
        *(("GET", path) for path in (FACTS, LEASE, "/docs", "/openapi.json", "/metrics", "*")),
    ],
)
def test_with_a_key_nothing_is_answered_without_it(keyed: tuple[int, Reached], method: str, target: str) -> None:
    port, app = keyed
    before = len(app.paths)
    body = ASK if method == "POST" else ""
    for headers in ((), ("Authorization: Bearer no", "X-Forwarded-For: 127.0.0.1", f"X-Original-URL: {target}")):
        assert status(port, request(method, target, *headers, body=body)) == 401
    assert len(app.paths) == before


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"Authorization: Bearer {KEY}", 200),
        (f"Authorization: bearer {KEY}", 200),
        (f"AUTHORIZATION: Bearer {KEY}", 200),
        (f"Authorization: {KEY}", 401),
        (f"Authorization: Basic {KEY}", 401),
        (f"Authorization: Bearer  {KEY}", 401),
        (f"Authorization: Bearer {KEY[:-1]}", 401),
        (f"Authorization: Bearer {KEY}\xe9", 401),
        (f"Authorization: Bearer {KEY.upper()}", 401),
        (f"Authorization: Bearer no\r\nAuthorization: Bearer {KEY}", 401),
        ("Authorization: Bearer ", 401),
        (f"X-Api-Key: {KEY}", 401),
        (f"Cookie: key={KEY}", 401),
        (f"Authorization : Bearer {KEY}", 400),
        (f"Authorization: Bearer\r\n {KEY}", 200),  # a folded header is one line
    ],
)
def test_the_key_is_a_bearer_token_and_nothing_else(keyed: tuple[int, Reached], header: str, expected: int) -> None:
    assert status(keyed[0], request("GET", "/v1/models", header)) == expected


def test_health_needs_no_key(keyed: tuple[int, Reached]) -> None:
    assert status(keyed[0], request("GET", "/health")) == 200


@pytest.mark.parametrize(
    ("host", "headers", "expected"),
    [
        ("127.0.0.1", (), 200),
        ("127.0.0.1:8100", (), 200),
        ("localhost:9", ("Origin: http://localhost:9",), 200),
        ("LOCALHOST:9", ("Origin: http://localhost:9", "Sec-Fetch-Site: same-origin"), 200),
        ("[::1]:8100", (), 200),
        ("127.0.0.1", ("Sec-Fetch-Site: none",), 200),
        ("evil.example", (), 403),
        ("evil.example:8100", ("Origin: http://evil.example:8100", "Sec-Fetch-Site: same-origin"), 403),
        ("localhost.evil.example", (), 403),
        ("127.0.0.1.evil.example", (), 403),
        ("evil.example@127.0.0.1", ("Origin: http://evil.example",), 403),
        ("0.0.0.0", (), 403),
        ("", (), 403),
        ("[::1", (), 403),
        ("127.0.0.1", ("Origin: http://evil.example",), 403),
        ("127.0.0.1", ("Origin: null",), 403),
        ("127.0.0.1", ("Origin: ",), 403),
        ("127.0.0.1", ("Origin: file://",), 403),
        ("127.0.0.1:8100", ("Origin: http://127.0.0.1:3000",), 403),
        ("127.0.0.1:8100", ("Origin: https://127.0.0.1:8100",), 403),
        ("127.0.0.1:8100", ("Origin: http://localhost:8100",), 403),
        ("127.0.0.1", ("Origin: http://127.0.0.1", "Origin: http://evil.example"), 403),
        ("127.0.0.1", ("Sec-Fetch-Site: cross-site",), 403),
        ("127.0.0.1", ("Sec-Fetch-Site: same-site",), 403),
        ("127.0.0.1\r\nHost: evil.example", (), 400),
    ],
)
def test_without_a_key_pages_of_other_sites_ask_nothing(
    keyless: tuple[int, Reached], host: str, headers: tuple[str, ...], expected: int
) -> None:
    port, app = keyless
    before = len(app.paths)
    asked = [request("GET", "/v1/models", *headers, host=host)]
    asked += [request("POST", "/v1/completions", *headers, host=host, body=ASK)]
    if expected != 200:
        asked += [
            request("OPTIONS", "/v1/completions", *headers, host=host),
            request("GET", LEASE, *headers, host=host),
        ]
    assert [status(port, each) for each in asked] == [expected] * len(asked)
    assert len(app.paths) - before == (len(asked) if expected == 200 else 0)


def test_a_lease_that_is_no_ascii_is_refused() -> None:
    app = engine()
    with served(app) as port, closing(connect(port, request("GET", LEASE))) as holder:
        assert b"200 OK" in holder.recv(100)
        body = json.dumps({"method": "swap", "args": []})
        for lease in ("\xe9", "x" * 43):
            assert status(port, request("POST", CALL, f"{LEASE_HEADER}: {lease}", body=body)) == 409


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that a test can wait for."""
    few = {"REQUESTS": 6, "CONNECTIONS": 8, "HEAD_SECONDS": 0.2, "BODY_SECONDS": 0.2, "BODY": 1000, "BODIES": 1500}
    for name, value in few.items():
        monkeypatch.setattr(limits, name, value)


HEAD = request("POST", "/v1/completions")[:-2]
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"", 0),
        (b"POST /v1/comp", 0),
        (HEAD, 0),
        (HEAD + b"X-A: " + b"a" * 2**20, 400),
        (HEAD + b"".join(b"X-%d: a\r\n" % i for i in range(20_000)) + b"\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 403),
        (HEAD + b"Content-Length: 10\r\n\r\n{", 408),
        (CHUNKED + b"1\r\n{", 408),
        (HEAD + b"Content-Length: 1001\r\n\r\n", 413),
        (HEAD + b"Content-Length: %d\r\n\r\n" % 10**19, 413),
        (HEAD + b"Content-Length: -1\r\n\r\n", 400),
        (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1f4\r\n" + b" " * 500 + b"\r\n" + b"1f5\r\n" + b" " * 501,
            413,
        ),
        (HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 400),
        (CHUNKED + b"zz\r\n", 400),
    ],
)
def test_what_is_sent_slowly_or_too_long_ends(sent: bytes, expected: int) -> None:
    app = Reached(engine())
    with served(app) as port:
        start = time.monotonic()
        assert status(port, sent) == expected
        assert time.monotonic() - start < 3
        assert not app.paths
        assert status(port, request("GET", "/health")) == 200


@pytest.mark.usefixtures("small")
def test_bodies_of_all_requests_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_SECONDS", 1.0)
    part = HEAD + b"Content-Length: 1000\r\n\r\n" + b" " * 900
    with served(engine()) as port, closing(connect(port, part)), closing(connect(port, part)):
        time.sleep(0.1)
        assert status(port, part) in {503, 408}
        time.sleep(1.2)  # what they held is free again
        assert status(port, request("POST", "/v1/completions", body=ASK)) == 200


@pytest.mark.usefixtures("small")
def test_connections_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HEAD_SECONDS", 1.0)
    with served(engine()) as port, ExitStack() as idle:
        many = [idle.enter_context(closing(connect(port))) for _ in range(7)]
        time.sleep(0.1)
        assert status(port, request("GET", "/health")) == 503
        many += [idle.enter_context(closing(connect(port))) for _ in range(20)]
        ended = Counter(read(each) for each in many)  # some at once, the others as they send nothing
        assert ended == {b"": 27}
        assert status(port, request("GET", "/health")) == 200


def test_four_hundred_connections_that_say_nothing_keep_nobody_out() -> None:
    with served(serve()) as port, ExitStack() as idle:
        for _ in range(400):
            idle.enter_context(closing(connect(port)))
        assert status(port, request("POST", "/v1/completions", body=ASK)) == 200


@pytest.mark.parametrize("megabytes", [10, 40])
def test_a_client_that_reads_nothing_keeps_no_point_in(megabytes: int) -> None:
    """The second leaves more unread than waits for a client, and is left."""
    asked = json.dumps({"model": "knee", "max_tokens": megabytes})
    with served(serve()) as port, closing(connect(port, request("POST", "/v1/completions", body=asked))) as slow:
        other = request("POST", "/v1/completions", body=json.dumps({"model": "base"}))
        time.sleep(0.2)
        assert status(port, other) == 200
        whole = read(slow)
        assert whole.endswith(b'"knee"\r\n0\r\n\r\n') == (megabytes == 10)
