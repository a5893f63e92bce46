"""A server on loopback that answers like OpenAI's, or misbehaves on purpose; the real one is vLLM, in its own test."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Served:
    """What a server was asked, and how it answers.

    Attributes:
        answer: From a question to the text of the answer, to a status that is an error, or to a whole body.
        models: That it lists; None lists nothing, with status 404.
        refusal: From the body of a request to why it is refused, with status 400; empty where it is not.
        seconds: That every answer takes.
        questions: In the order in which they came.
        bodies: The same as whole requests.
        keys: The authorisation headers that came.
        most: Most requests that were there at a time.
    """

    def __init__(self, answer: Callable[[str], str | int | dict[str, Any]], models: list[str] | None) -> None:
        self.answer, self.models = answer, models
        self.refusal: Callable[[dict[str, Any]], str] = lambda body: ""
        self.seconds = 0.0
        self.questions: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()
        self.most = self._now = 0
        self.lock = threading.Lock()
        self.url = ""

    def enter(self, body: dict[str, Any]) -> None:
        with self.lock:
            self._now += 1
            self.most = max(self.most, self._now)
            self.bodies.append(body)
            self.questions.append(body["messages"][0]["content"])

    def leave(self) -> None:
        with self.lock:
            self._now -= 1


class _Server(ThreadingHTTPServer):
    request_queue_size = 128


@contextmanager
def serving(
    answer: Callable[[str], str | int | dict[str, Any]],
    models: list[str] | None = ["judge"],  # noqa: B006
) -> Iterator[Served]:
    served = Served(answer, models)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.keys.add(self.headers["Authorization"])
            listed = served.models or []
            self.reply(404 if served.models is None else 200, {"object": "list", "data": [{"id": m} for m in listed]})

        def do_POST(self) -> None:
            served.keys.add(self.headers["Authorization"])
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            served.enter(body)
            time.sleep(served.seconds)
            answer, refusal = served.answer(body["messages"][0]["content"]), served.refusal(body)
            served.leave()
            if refusal:
                self.reply(400, {"error": {"message": refusal}})
            elif isinstance(answer, int):
                self.reply(answer, {"error": {"message": f"no, not for\n{self.headers['Authorization']}"}})
            elif isinstance(answer, dict):
                self.reply(200, answer)
            else:
                message: dict[str, Any] = {"role": "assistant", "content": answer}
                if "tools" in body:
                    call = {"name": body["tools"][0]["function"]["name"], "arguments": answer}
                    message["content"] = None
                    message["tool_calls"] = [{"id": "1", "type": "function", "function": call}]
                usage = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
                self.reply(200, {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage})

        def reply(self, status: int, body: dict[str, Any]) -> None:
            content = json.dumps(body).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except BrokenPipeError:
                pass  # the client did not wait

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
