"""`RemoteEngine`: a vLLM server that `ama-ray engine` started, for as long as this process holds its lease."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from ama_ray.engine.asking import ignored
from ama_ray.engine.openai_address import OpenAIAddress
from ama_ray.engine.pair_engine import PairEngine
from ama_ray.engine.requests import Answer
from ama_ray.engine.server import http_client
from ama_ray.engine.server.protocol import CALL, FACTS, LEASE, LEASE_HEADER, RESET, RUN, Facts
from ama_ray.engine.worker.swap_extension import SwapError
from ama_ray.errors import UserError, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ama_ray.engine.asking import Finished

R = TypeVar("R")

WAIT = 120.0
"""Seconds to wait for a server that is free: one may just be coming back, or have yet to notice that a client died."""


class ServerError(RuntimeError):
    """A server failed, or went away."""


def facts(url: str, key: str | None) -> Facts:
    """Asks a server what it is.

    Raises:
        UserError: It is not there, wants another key, or is no server of `ama-ray engine`.
    """
    try:
        with http_client.client(url, key) as client:
            answer = client.get(FACTS, timeout=http_client.CONNECT)
    except httpx.TransportError as error:
        raise UserError(
            f"engine.url: no server answers at {url} ({one_line(error)}); start one there with `ama-ray engine`."
        ) from None
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        raise UserError(f"engine.url: {url} wants another key; name the variable that holds it in engine.api_key_env.")
    try:
        return Facts.model_validate_json(answer.raise_for_status().content)
    except (httpx.HTTPStatusError, ValueError):
        raise UserError(
            f"engine.url: the server at {url} was not started by `ama-ray engine` of this version; start one so."
        ) from None


class RemoteEngine(PairEngine):
    """One vLLM server, leased."""

    def __init__(self, urls: Sequence[str], key: str | None) -> None:
        """Leases the first server that is free, and waits for one where none is.

        Raises:
            ServerError: None was free for too long.
        """
        self._client, self._lease = _lease(urls, key)
        self._key = key
        self.facts = facts(str(self._client.base_url), key)
        self._warm_up()

    def close(self) -> None:
        """Ends the lease."""
        self._lease.close()
        self._client.close()

    def _run(
        self, prompts: list[list[int]], params: list[dict[str, Any]], finished: Finished = ignored
    ) -> list[Answer]:
        return [Answer(**answer) for answer in self._post(RUN, {"prompts": prompts, "params": params})]

    def call_workers(self, method: str, *args: Any) -> list[Any]:
        """Calls a method of `PairExtension` in every worker; returns what each of them returned."""
        try:
            results: list[Any] = self._post(CALL, {"method": method, "args": args})
            return results
        except ServerError as error:
            raise SwapError(str(error)) from error

    def _empty_cache(self) -> bool:
        return bool(self._post(RESET, None))

    def serve(self, work: Callable[[OpenAIAddress], R], ends: Sequence[int]) -> R:
        """Has the server answer, which knows the tokens that end a reply itself; see `Engine.serve`."""
        try:
            (model,) = self._client.get("/v1/models").raise_for_status().json()["data"]
        except httpx.HTTPError as error:
            raise ServerError(f"{self._client.base_url}: {one_line(error)}") from error
        return work(OpenAIAddress(str(self._client.base_url).rstrip("/") + "/v1", model["id"], self._key))

    def _post(self, path: str, body: Any) -> Any:
        try:
            answer = self._client.post(path, json=body)
        except httpx.TransportError as error:
            raise ServerError(f"{self._client.base_url}: the server went away ({one_line(error)})") from error
        if answer.is_error:
            raise ServerError(f"{self._client.base_url}: {answer.text.strip()}")
        return answer.json()


@dataclass(frozen=True)
class Lease:
    """An open response; the server takes its end for that of the client.

    Attributes:
        response: What is open.
        lines: Its lines; were they let go of, httpx would close it.
    """

    response: httpx.Response
    lines: Iterator[str]

    def close(self) -> None:
        """Ends the lease."""
        self.response.close()


def _lease(urls: Sequence[str], key: str | None) -> tuple[httpx.Client, Lease]:
    """A client of the first free server, and its lease."""
    until = time.monotonic() + WAIT
    while True:
        for url in urls:
            client = http_client.client(url, key)
            try:
                response = client.send(client.build_request("GET", LEASE), stream=True).raise_for_status()
                lines = response.iter_lines()
                if token := next(lines):
                    client.headers[LEASE_HEADER] = token
                    return client, Lease(response, lines)
            except (httpx.HTTPError, StopIteration):
                pass  # not there, or not yet
            client.close()
        if time.monotonic() > until:
            raise ServerError(f"none of {', '.join(urls)} has been free for {WAIT:.0f} s")
        time.sleep(0.5)
