"""`ChatClient`: what a conversation asks of a server of `ama-ray serve`."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import httpx

from ama_ray.engine.server import http_client
from ama_ray.errors import UserError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ChatRequest = dict[str, Any]
"""Either `prompt`, a text to be continued, or `messages`, a conversation for the chat template."""


class ChatError(RuntimeError):
    """The server refused one request, in a sentence."""


class ChatClient:
    """A client of one server; a context manager that closes its connections."""

    def __init__(self, url: str, key: str | None, *, max_tokens: int, temperature: float) -> None:
        """Connects to nothing yet.

        Args:
            url: Of the server, with or without `/v1` at its end.
            key: That it wants, if any.
            max_tokens: Most tokens of a reply.
            temperature: Of sampling.
        """
        self._url = url.rstrip("/").removesuffix("/v1")
        self._client = http_client.client(self._url, key)
        self.max_tokens = max_tokens
        self._temperature = temperature

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._client.close()

    def points(self) -> list[str]:
        """The names that the server lists.

        Raises:
            UserError: It is not there, wants another key, or is something else.
        """
        try:
            answer = self._client.get("/v1/models")
        except (httpx.TransportError, httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise UserError(
                f"--url: no server answers at {self._url} ({one_line(error)}); start one there with `ama-ray serve`."
            ) from None
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise UserError(f"--url: {self._url} wants another key; name the variable that holds it in --api-key-env.")
        try:
            return [model["id"] for model in answer.raise_for_status().json()["data"]]
        except (httpx.HTTPStatusError, ValueError, LookupError, TypeError):
            raise UserError(f"--url: the server at {self._url} is not one of `ama-ray serve`.") from None

    def has_template(self, point: str) -> bool:
        """Whether the tokenizer has a chat template."""
        try:
            self.size(point, {"messages": [{"role": "user", "content": "hi"}]})
        except ChatError as error:
            if "chat template" not in str(error):
                raise
            return False
        return True

    def size(self, point: str, asked: ChatRequest) -> tuple[int, int]:
        """Tokens of what is asked, and tokens of context that there are.

        Raises:
            ChatError: The server refused.
        """
        with _lost():
            answer = self._client.post("/tokenize", json={"model": point} | asked)
        if answer.is_error:
            raise ChatError(_reason(answer))
        fields = answer.json()
        return fields["count"], fields["max_model_len"]

    def reply(self, point: str, asked: ChatRequest, stop: list[str]) -> Iterator[str]:
        """Yields a reply in the pieces in which it comes.

        Raises:
            ChatError: The server refused, or went away.
        """
        path = "/v1/chat/completions" if "messages" in asked else "/v1/completions"
        sampling = {"max_tokens": self.max_tokens, "temperature": self._temperature, "stop": stop}
        body = {"model": point, "stream": True} | sampling | asked
        with _lost(), self._client.stream("POST", path, json=body) as answer:
            if answer.is_error:
                answer.read()
                raise ChatError(_reason(answer))
            for line in answer.iter_lines():
                data = line.removeprefix("data:").strip()
                if line.startswith("data:") and data != "[DONE]":
                    yield _piece(json.loads(data))


@contextmanager
def _lost() -> Iterator[None]:
    """A context in which a lost server is a `ChatError`."""
    try:
        yield
    except httpx.TransportError as error:
        raise ChatError(f"the server went away ({one_line(error)})") from error


def _piece(event: Mapping[str, Any]) -> str:
    if "error" in event:
        raise ChatError(str(event["error"].get("message", event["error"])))
    if not event.get("choices"):
        return ""
    choice = event["choices"][0]
    return str((choice["delta"].get("content") if "delta" in choice else choice["text"]) or "")


def _reason(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, LookupError, TypeError):
        return f"status {answer.status_code}"
