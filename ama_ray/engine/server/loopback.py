"""`Loopback`: vLLM's OpenAI routes over the engine of this process, for as long as somebody works with them."""

from __future__ import annotations

import asyncio
import secrets
import socket
import threading
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from ama_ray.engine.openai_address import OpenAIAddress
from ama_ray.engine.server.clients import for_clients
from ama_ray.engine.server.openai_app import openai_app, quiet_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from concurrent.futures import Future

    from fastapi import FastAPI

R = TypeVar("R")

MODEL = "point"
"""What the live weights are called, whichever they are."""


class Loopback:
    """Serves on 127.0.0.1, at a free port, with a key of its own each time.

    An engine in process belongs to the thread that started it. That thread steps it here, and takes in requests
    between two steps, so that those of several clients are batched; another thread speaks HTTP.
    """

    def __init__(self, engine: Any) -> None:
        """Of vLLM's `LLMEngine`."""
        self._engine = engine
        self._client = _Client(engine)
        self._app: FastAPI | None = None
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="loopback", daemon=True).start()

    def serve(self, work: Callable[[OpenAIAddress], R], ends: Sequence[int]) -> R:
        """Serves while somebody works with the live weights.

        Args:
            work: Called in another thread.
            ends: Tokens that end a reply, besides those that the engine's own checkpoint names.

        Returns:
            What `work` returns.
        """
        client = self._client
        client.ends = tuple(ends)
        working = asyncio.run_coroutine_threadsafe(self._serve(work), self._loop)
        working.add_done_callback(lambda _: client.todo.put(_nothing))
        try:
            self._step_until(working)
        except BaseException as error:
            client.fail(error)  # nobody is to wait for an answer that will not come
            raise
        client.abort_all()
        return working.result()

    def _step_until(self, done: Future[Any]) -> None:
        engine, client = self._engine, self._client
        while not done.done():
            if not engine.has_unfinished_requests():
                client.todo.get()()
            while not client.todo.empty():
                client.todo.get()()
            if engine.has_unfinished_requests():
                for output in engine.step():
                    client.tell(output)

    async def _serve(self, work: Callable[[OpenAIAddress], R]) -> R:
        if self._app is None:
            self._app = await openai_app(self._client, self._client.model_config.model, [MODEL])
        key = secrets.token_urlsafe(32)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            address = OpenAIAddress(f"http://127.0.0.1:{listening.getsockname()[1]}/v1", MODEL, key)
            server = quiet_server(for_clients(self._app, key), lifespan="off")
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            try:
                return await asyncio.to_thread(work, address)
            finally:
                server.should_exit = True
                await serving


def _nothing() -> None:
    """Wakes up who waits for something to do."""


class _Client:
    """What vLLM's routes need of its `EngineClient`; what they ask is done by the thread of the engine.

    Attributes:
        todo: For that thread.
        ends: Tokens that end a reply besides.
    """

    is_running = True
    is_stopped = False
    errored = False

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._tasks = engine.get_supported_tasks()
        self._streams: dict[str, Callable[[Any], None]] = {}
        self.vllm_config, self.model_config = engine.vllm_config, engine.model_config
        self.renderer, self.input_processor = engine.renderer, engine.input_processor
        self.todo: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.ends: tuple[int, ...] = ()

    async def get_supported_tasks(self) -> Any:
        return self._tasks

    async def is_tracing_enabled(self) -> bool:
        return False

    async def check_health(self) -> None:
        """It answers, so it is well."""

    def check_admission(self, n: int = 1, request_id: str | None = None) -> None:
        """Everybody is let in."""

    async def generate(self, prompt: Any, sampling_params: Any, request_id: str, **_: Any) -> AsyncIterator[Any]:
        """What vLLM says to one request; the routes make a clean one of whatever came in."""
        loop, said = asyncio.get_running_loop(), asyncio.Queue[Any]()

        def hear(output: Any) -> None:
            loop.call_soon_threadsafe(said.put_nowait, output)

        self.todo.put(partial(self._add, request_id, prompt, sampling_params, hear))
        try:
            finished = False
            while not finished:
                output = await said.get()
                if isinstance(output, BaseException):
                    raise output
                finished = output.finished
                yield output
        except (asyncio.CancelledError, GeneratorExit):
            self.todo.put(partial(self._abort, [request_id]))
            raise

    async def abort(self, request_id: Any) -> None:
        self.todo.put(partial(self._abort, [request_id] if isinstance(request_id, str) else list(request_id)))

    def tell(self, output: Any) -> None:
        """Passes on what a step gave."""
        if (hear := self._streams.get(output.request_id)) is None:
            return
        if output.finished:
            del self._streams[output.request_id]
        hear(output)

    def fail(self, error: BaseException) -> None:
        """Tells all who wait that there will be no answer."""
        for hear in self._streams.values():
            hear(RuntimeError(f"the engine failed: {error}"))

    def abort_all(self) -> None:
        """Ends what nobody waits for any more."""
        while not self.todo.empty():
            self.todo.get()()
        self._abort(list(self._streams))

    def _add(self, request_id: str, prompt: Any, sampling: Any, hear: Callable[[Any], None]) -> None:
        if not sampling.ignore_eos:
            sampling.stop_token_ids = [*(sampling.stop_token_ids or ()), *self.ends]
            sampling.all_stop_token_ids.update(self.ends)
        try:
            self._engine.add_request(request_id, prompt, sampling)
        except Exception as error:  # of this request alone
            hear(error)
        else:
            self._streams[request_id] = hear

    def _abort(self, request_ids: list[str]) -> None:
        known = [each for each in request_ids if self._streams.pop(each, None)]
        if known:
            self._engine.abort_request(known)
