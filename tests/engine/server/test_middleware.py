"""Which requests pass, wait or are refused before vLLM's application, without vLLM."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from ama_ray.engine.server.middleware import ANSWERING, ASKED, COUNTING, PointMiddleware
from ama_ray.engine.server.point_switch import PointSwitch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

POINTS = {"knee": "knee", "trial-3": "knee", "base": "base"}


class Served:
    """An application that answers with the point that is in, in two pieces, and what it was asked."""

    def __init__(self) -> None:
        self.switches: list[str] = []
        self.aborted: list[str] = []
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.fails = False
        self.dial = PointSwitch(self._switch)
        self.app: ASGIApp = PointMiddleware(self._answer, self.dial, POINTS)

    async def _switch(self, point: str) -> None:
        await asyncio.sleep(0)
        if self.fails:
            raise RuntimeError("two parameters were not reached")
        self.switches.append(point)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = (await receive())["body"] if scope["method"] == "POST" else b""
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": f"{self.dial.point} ".encode(), "more_body": True})
        going, gone = asyncio.ensure_future(self.go_on.wait()), asyncio.ensure_future(receive())
        await asyncio.wait({going, gone}, return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            assert gone.result()["type"] == "http.disconnect"
            self.aborted.append(ASKED.get())
            return
        gone.cancel()
        name = ASKED.get("nothing")
        await send({"type": "http.response.body", "body": f"{self.dial.point} {name} ".encode() + asked})


class Client:
    """One request, and what came back."""

    def __init__(self, served: Served, path: str, body: bytes, method: str = "POST", kind: str = "http") -> None:
        self._body = [body[:4], body[4:]] if body else []
        self._left = asyncio.Event()
        self.sent: list[Message] = []
        scope = {"type": kind, "method": method, "path": path, "headers": []}
        self.task = asyncio.create_task(self._run(served.app, scope))

    async def _run(self, app: ASGIApp, scope: Scope) -> None:
        await app(scope, self._receive, self._send)

    async def _receive(self) -> Message:
        if self._body:
            part = self._body.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(self._body)}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self.sent.append(message)

    def leave(self) -> None:
        self._left.set()

    async def answer(self) -> tuple[int, str]:
        await asyncio.wait_for(self.task, 5)
        return self.sent[0]["status"], b"".join(each["body"] for each in self.sent[1:]).decode()


def ask(served: Served, name: Any, path: str = "/v1/completions", **fields: Any) -> Client:
    return Client(served, path, json.dumps({"model": name} | fields).encode())


def played(play: Callable[[Served], Awaitable[None]]) -> None:
    async def start() -> None:
        await play(Served())

    asyncio.run(start())


@pytest.mark.parametrize("path", ANSWERING)
def test_a_request_is_answered_at_its_point_and_under_its_name(path: str) -> None:
    async def play(served: Served) -> None:
        names = ("base", "trial-3", "knee", "base")
        clients = [ask(served, name, path) for name in names]
        for name, client in zip(names, clients, strict=True):
            point = POINTS[name]
            assert await client.answer() == (200, f'{point} {point} {name} {{"model": "{name}"}}')
        assert served.switches == ["base", "knee"]

    played(play)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"model": "trial-9"}, 404, "no point 'trial-9'; as `model`, name one of knee, trial-3, base"),
        ({"prompt": "hi"}, 404, "no point None"),
        ({"model": ["knee"]}, 404, "no point"),
        ([1], 404, "no point"),
        ({"model": "knee", "background": True}, 400, "wait for the answer"),
    ],
)
def test_what_names_no_point_is_refused_without_a_switch(body: Any, status: int, words: str) -> None:
    async def play(served: Served) -> None:
        code, text = await Client(served, "/v1/responses", json.dumps(body).encode()).answer()
        error = json.loads(text)["error"]
        assert (code, error["code"]) == (status, status)
        assert words in error["message"]
        assert not served.switches

    played(play)


def test_a_body_that_is_no_json_is_refused() -> None:
    async def play(served: Served) -> None:
        assert (await Client(served, "/v1/completions", b"{'model").answer())[0] == 404

    played(play)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("POST", path) for path in ("/pause", "/collective_rpc", "/v1/load_lora_adapter", "/invocations")),
        *(("POST", path) for path in ("/v1/chat/completions/", "/ama_ray/call", "/v1/responses/x/cancel")),
        *(("DELETE", "/v1/completions"), ("PUT", "/v1/completions")),
    ],
)
def test_nothing_else_is_served(method: str, path: str) -> None:
    async def play(served: Served) -> None:
        assert (await Client(served, path, b'{"model": "knee"}', method).answer())[0] == 404
        assert not served.switches

    played(play)


@pytest.mark.parametrize("path", COUNTING)
def test_what_counts_tokens_waits_for_no_point(path: str) -> None:
    async def play(served: Served) -> None:
        assert await ask(served, "base", path).answer() == (200, 'None None base {"model": "base"}')
        assert (await ask(served, "nix", path).answer())[0] == 404
        assert not served.switches

    played(play)


def test_a_websocket_is_closed() -> None:
    async def play(served: Served) -> None:
        client = Client(served, "/v1/realtime", b"", kind="websocket")
        await client.task
        assert client.sent == [{"type": "websocket.close"}]

    played(play)


def test_what_is_only_read_needs_no_point() -> None:
    async def play(served: Served) -> None:
        assert await Client(served, "/v1/models", b"", "GET").answer() == (200, "None None nothing ")
        assert not served.switches

    played(play)


def test_a_stream_keeps_its_point_until_its_end() -> None:
    async def play(served: Served) -> None:
        served.go_on.clear()
        streaming = ask(served, "knee")
        await asyncio.sleep(0.01)
        waiting = ask(served, "base")
        await asyncio.sleep(0.01)
        assert len(streaming.sent) == 2
        assert not waiting.sent
        assert served.dial.point == "knee"
        served.go_on.set()
        assert (await streaming.answer())[1].startswith("knee knee knee")
        assert (await waiting.answer())[1].startswith("base base base")

    played(play)


def test_a_client_that_goes_ends_its_request_and_lets_others_in() -> None:
    async def play(served: Served) -> None:
        served.go_on.clear()
        streaming, waiting, other = ask(served, "knee"), ask(served, "base"), ask(served, "trial-3")
        await asyncio.sleep(0.01)
        waiting.leave()
        await asyncio.wait_for(waiting.task, 5)
        assert not waiting.sent
        streaming.leave()
        await asyncio.wait_for(streaming.task, 5)
        assert served.aborted == ["knee"]
        served.go_on.set()
        assert (await other.answer())[1].startswith("knee knee trial-3")
        assert served.switches == ["knee"]

    played(play)


def test_a_swap_that_fails_answers_all_with_an_error() -> None:
    async def play(served: Served) -> None:
        served.fails = True
        for client in [ask(served, name) for name in ("knee", "base")] + [ask(served, "knee")]:
            status, text = await client.answer()
            assert status == 503
            assert "two parameters were not reached" in json.loads(text)["error"]["message"]
        served.fails = False
        assert (await ask(served, "knee").answer())[0] == 503

    played(play)
