"""vLLM's own OpenAI server on a pair, in this process, with whatever a command puts around it."""

from __future__ import annotations

import asyncio
import json
import signal
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ama_ray.checkpoints.generation import GENERATION
from ama_ray.checkpoints.merging import generation_config
from ama_ray.engine import deep_check
from ama_ray.engine.arguments import check_arguments, check_ranks, engine_arguments, pair_arguments, prepare_processes
from ama_ray.engine.dtype import resolved
from ama_ray.engine.server.clients import for_clients
from ama_ray.engine.server.openai_app import openai_app, quiet_server
from ama_ray.engine.server.protocol import Facts
from ama_ray.errors import UserError, one_line

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Sequence

    from fastapi import FastAPI
    from starlette.types import ASGIApp

    from ama_ray.checkpoints.pair import Pair
    from ama_ray.engine.server.control import Control
    from ama_ray.engine.server.settings import ServerSettings

LOOK_EVERY = 0.5
"""Seconds between two looks at whether vLLM's processes live."""


@dataclass(frozen=True)
class Application:
    """vLLM's application, started.

    Attributes:
        app: Its routes.
        control: What swaps its weights.
        facts: What it is.
    """

    app: FastAPI
    control: Control
    facts: Facts


@dataclass(frozen=True)
class Guarded:
    """What is served in the end.

    Attributes:
        app: The application with what was put around it.
        failure: Why it must not go on; empty while it may.
    """

    app: ASGIApp
    failure: Callable[[], str] = str


@dataclass(frozen=True)
class PairServer:
    """A server on a pair, as both commands that serve start one.

    Attributes:
        pair: Opened.
        sources: Folders or hub ids of base and of the aligned models, as they were given.
        settings: Precision and resources; where to listen is in `listening`.
        listening: The socket, bound.
        tell: Called with a line of text as it starts.
        names: Models that it lists; by default one, under the path of its checkpoint.
    """

    pair: Pair
    sources: Sequence[str]
    settings: ServerSettings
    listening: socket.socket
    tell: Callable[[str], None]
    names: Sequence[str] = ()

    def run(self, guard: Callable[[Application], Awaitable[Guarded]]) -> None:
        """Serves until a signal comes.

        Args:
            guard: Makes what is served of vLLM's application, once that has started.

        Raises:
            UserError: It is no language model, vLLM does not start, or has died, or the guard's failure came true.
        """
        self.pair.check_is_language_model()
        self.tell(f"pair of {self.pair.num_bytes / 1e6:.1f} MB; starting vLLM")
        prepare_processes(self.settings.engine)
        try:
            with tempfile.TemporaryDirectory(prefix="ama_ray-generation-") as scratch:
                asyncio.run(self._serve(guard, Path(scratch)))
        except (RuntimeError, ValueError) as error:
            raise UserError(f"vLLM does not start on {self.pair.engine_folder}: {one_line(error)}.") from error

    async def _serve(self, guard: Callable[[Application], Awaitable[Guarded]], scratch: Path) -> None:
        from vllm.engine.arg_utils import AsyncEngineArgs

        from ama_ray.engine.model_classes import import_model_classes
        from ama_ray.engine.placement import place
        from ama_ray.engine.server.control import Control

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            from vllm.entrypoints.openai.api_server import build_async_engine_client_from_engine_args
        settings, pair = self.settings, self.pair
        engine = resolved(settings.engine, pair)
        check_arguments(engine)
        check_ranks(engine, pair)
        import_model_classes(pair.engine_folder)
        length = min(settings.max_model_len, pair.context_limit or settings.max_model_len)
        where, utilisation = place(engine, pair.engine_folder, length, len(pair.endpoints) - 1)
        arguments = engine_arguments(pair.engine_folder, engine, length) | {
            "model": str(pair.engine_folder),
            "gpu_memory_utilization": utilisation,
        }
        arguments |= pair_arguments(pair)
        if generation := generation_config(pair):
            # vLLM reads what ends a reply from a folder alone, and here that is what an export says.
            (scratch / GENERATION).write_text(json.dumps(generation), encoding="utf-8")
            arguments["generation_config"] = str(scratch)
        async with build_async_engine_client_from_engine_args(AsyncEngineArgs(**arguments)) as client:
            control = Control(client)
            await control.call("score_targets")
            app = await openai_app(client, arguments["model"], self.names)
            guarded = await guard(Application(app, control, await self._facts(control, client, where)))
            server = quiet_server(for_clients(guarded.app, settings.key))
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, server.handle_exit, number, None)
            self.listening.listen()  # clients that read the next line need not wait for uvicorn
            self.tell(f"listening on http://{settings.host}:{self.listening.getsockname()[1]}")

            def failure() -> str:
                return "vLLM's engine has died; start the server again." if client.errored else guarded.failure()

            watching = asyncio.create_task(_end_with(failure, server))
            await server.serve(sockets=[self.listening])
            watching.cancel()
            if why := failure():
                raise UserError(why)

    async def _facts(self, control: Control, client: Any, where: str) -> Facts:
        await control.call("keep", deep_check.START)
        model = client.model_config
        base, *aligned = self.sources
        return Facts(
            sources=self.pair.sources | {"base": base, "aligned": aligned},
            checksum=self.pair.checksum,
            dtype=str(model.dtype).removeprefix("torch."),
            context_length=model.max_model_len,
            vocabulary_size=model.get_vocab_size(),
            version=deep_check.engine_version(),
            place=where,
            patched=not torch.cuda.is_available(),
        )


async def _end_with(failure: Callable[[], str], server: Any) -> None:
    """Ends the server when it has failed: nobody should wait for what it cannot answer."""
    while not failure():
        await asyncio.sleep(LOOK_EVERY)
    server.should_exit = True
