"""The control routes of `ama-ray engine`: one client at a time swaps the weights and asks them."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import asynccontextmanager
from dataclasses import asdict
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Body, Header, HTTPException, Request, Response
from fastapi.responses import StreamingResponse

from ama_ray.engine.in_process import sampling_params
from ama_ray.engine.requests import Answer
from ama_ray.engine.server.protocol import CALL, FACTS, LEASE, LEASE_HEADER, METHODS, RESET, RUN, Facts
from ama_ray.engine.worker.swap_extension import check_cache

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

LeaseHeader = Annotated[str, Header(alias=LEASE_HEADER)]

LOOK_EVERY = 0.2
"""Seconds between two looks at whether the holder of the lease is still connected."""


class Control:
    """Swaps and asks a vLLM server for the client that holds its lease.

    Attributes:
        lease: A lease is a connection: what its holder must show, as long as that is open; None while nobody holds it.
            However a client ends, the next can have the engine.
    """

    def __init__(self, client: Any) -> None:
        """Over vLLM's `AsyncLLM`."""
        self._client = client
        self._count = 0
        self.lease: str | None = None

    def router(self, facts: Facts) -> APIRouter:
        """The routes, to be included in vLLM's own application."""
        router = APIRouter()

        @router.get(FACTS)
        async def engine() -> Facts:
            return facts

        @router.get(LEASE)
        async def lease(request: Request) -> StreamingResponse:
            return StreamingResponse(self._held(request), media_type="text/plain")

        @router.post(RUN)
        async def run(
            prompts: Annotated[list[list[int]], Body()],
            params: Annotated[list[dict[str, Any]], Body()],
            lease: LeaseHeader,
        ) -> Response:
            self._check(lease)
            answers = await self.run(prompts, params)
            return _json([asdict(answer) for answer in answers])

        @router.post(CALL)
        async def call(
            method: Annotated[str, Body()], args: Annotated[list[Any], Body()], lease: LeaseHeader
        ) -> Response:
            self._check(lease)
            if method not in METHODS:
                raise HTTPException(HTTPStatus.BAD_REQUEST, f"{method} cannot be called")
            return _json(await self.call(method, *args))

        @router.post(RESET)
        async def reset(lease: LeaseHeader) -> Response:
            self._check(lease)
            return _json(await self.reset_cache())

        return router

    async def run(self, prompts: list[list[int]], params: list[dict[str, Any]]) -> list[Answer]:
        """Has vLLM answer prompts; see `Engine._run`.

        They are scheduled when all are there, so that the steps, and so the last bits of the answers, are those of an
        engine in process.
        """
        first, self._count = self._count, self._count + len(prompts)
        await self._client.pause_generation(mode="keep", clear_cache=False)
        try:
            asked = [
                await self._client.add_request(f"ama_ray-{first + index}", {"prompt_token_ids": prompt}, sampling)
                for index, (prompt, sampling) in enumerate(zip(prompts, sampling_params(params), strict=True))
            ]
        finally:
            await self._client.resume_generation()
        return [Answer.of(await _last(answer)) for answer in asked]

    async def call(self, method: str, *args: Any) -> list[Any]:
        """Calls a method of `PairExtension` in every worker, while no request is under way; see `Engine`."""
        async with self._idle():
            results: list[Any] = await self._client.collective_rpc(method, args=args)
            return results

    async def swap(self, ratios: Mapping[str, float]) -> None:
        """Does what `Engine.swap` does in one pause, for clients that wait for their point.

        Raises:
            Exception: The weights or the cache are not as they must be; end the server.
        """
        async with self._idle():
            await self._client.collective_rpc("swap", args=(dict(ratios),))
            check_cache(bool(await self._client.reset_prefix_cache()))

    async def reset_cache(self) -> bool:
        """Empties the prefix cache; returns whether vLLM did."""
        async with self._idle():
            return bool(await self._client.reset_prefix_cache())

    @asynccontextmanager
    async def _idle(self) -> AsyncIterator[None]:
        """Requests that came by the OpenAI routes are finished first, and later ones wait."""
        # As `pause_generation` does, without its sleep of 20 ms, in which answers that are ready may be passed on.
        await self._client.engine_core.pause_scheduler_async(mode="wait", clear_cache=False)
        try:
            yield
        finally:
            await self._client.resume_generation()

    async def _held(self, request: Request) -> AsyncIterator[str]:
        """One line: the lease, or an empty one where another client has it. The lease lasts as long as the response."""
        if self.lease is not None:
            yield "\n"
            return
        self.lease = held = secrets.token_urlsafe()
        try:
            yield f"{held}\n"
            while not await request.is_disconnected():
                await asyncio.sleep(LOOK_EVERY)
        finally:
            self.lease = None

    def _check(self, lease: str) -> None:
        if self.lease is None or not secrets.compare_digest(lease.encode(), self.lease.encode()):
            raise HTTPException(HTTPStatus.CONFLICT, "this lease of the engine has ended")


async def _last(answer: Any) -> Any:
    """Waits for the end of a request."""
    while True:
        output = answer.get_nowait() or await answer.get()
        if output.finished:
            return output


def _json(value: Any) -> Response:
    import json

    # Not FastAPI's own: log-probabilities may be infinite, which only Python's JSON can say.
    return Response(json.dumps(value), media_type="application/json")
