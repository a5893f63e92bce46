"""`ama-ray engine`: a vLLM OpenAI server whose weights a search can swap over HTTP."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import signal
import socket
import warnings
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ama_ray.engine import deep_check
from ama_ray.engine.key import RequireKey
from ama_ray.engine.precision import resolved
from ama_ray.engine.protocol import Facts
from ama_ray.errors import UserError, one_line
from ama_ray.pair import Pair

if TYPE_CHECKING:
    from collections.abc import Callable

    from ama_ray.config import Engine as EngineSettings


LOOK_EVERY = 0.5
"""Seconds between two looks at whether vLLM's processes live."""


@dataclass(frozen=True)
class ServerSettings:
    """Where a server listens and what it starts.

    Attributes:
        engine: Precision and resources; `dtype` may be `auto`.
        max_model_len: Tokens of context, or as many as the model takes where that is less.
        tensor_parallel_size: Accelerators (on a CPU: processes) that share the weights.
        host: To listen on.
        port: To listen on.
        key: What clients must show; None is for loopback only.
    """

    engine: EngineSettings
    max_model_len: int = 2048
    tensor_parallel_size: int = 1
    host: str = "127.0.0.1"
    port: int = 8100
    key: str | None = None


def serve(base: str, aligned: str, settings: ServerSettings, tell: Callable[[str], None]) -> None:
    """Serves until a signal comes.

    Args:
        base: Folder or hub id of the checkpoint from before RLHF.
        aligned: The same from after RLHF, or a LoRA adapter over base.
        settings: Where, and what.
        tell: Called with a line of text as it starts.

    Raises:
        UserError: The pair is off, the address is taken or open to others without a key, or vLLM does not start, or
            has died.
    """
    if settings.key is None and not _is_loopback(settings.host):
        raise UserError(
            f"--host {settings.host}: beyond loopback an engine needs a key; name the environment variable that holds "
            "it with --api-key-env."
        )
    listening = _listen(settings.host, settings.port)
    pair = Pair.open(base, aligned)
    for warning in pair.warnings:
        tell(f"warning: {warning}")
    tell(f"pair of {pair.num_bytes / 1e6:.1f} MB; starting vLLM")
    _prepare_environment(settings.engine)
    try:
        asyncio.run(_serve(pair, (base, aligned), settings, listening, tell))
    except (RuntimeError, ValueError) as error:
        raise UserError(f"vLLM does not start on {pair.engine_folder}: {one_line(error)}.") from error


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # A client whose machine vanished is noticed within a minute, and its lease ends.
    for level, option, value in (
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    ):
        listening.setsockopt(level, option, value)
    try:
        listening.bind((host, port))
    except OSError as error:
        raise UserError(f"--host {host} --port {port}: cannot listen there ({error.strerror}).") from None
    return listening


def _prepare_environment(engine: EngineSettings) -> None:
    """For vLLM's own processes, which inherit it."""
    os.environ["OMP_NUM_THREADS"] = str(max(1, int(engine.cpus)))
    os.environ.pop("VLLM_SERVER_DEV_MODE", None)
    if not torch.cuda.is_available() and engine.enforce_eager is not False:
        os.environ["TORCH_COMPILE_DISABLE"] = "1"


async def _serve(
    pair: Pair,
    sources: tuple[str, str],
    settings: ServerSettings,
    listening: socket.socket,
    tell: Callable[[str], None],
) -> None:
    import uvicorn
    from vllm.engine.arg_utils import AsyncEngineArgs

    from ama_ray.engine.control import Control
    from ama_ray.engine.in_process import engine_arguments
    from ama_ray.engine.placement import place

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from vllm.entrypoints.openai.api_server import (
            build_app,
            build_async_engine_client_from_engine_args,
            init_app_state,
        )
    engine = resolved(settings.engine, pair)
    where, utilisation = place(engine, pair.engine_folder)
    length = min(settings.max_model_len, pair.context_limit or settings.max_model_len)
    arguments = engine_arguments(engine, length) | {
        "model": str(pair.engine_folder),
        "gpu_memory_utilization": utilisation,
        "tensor_parallel_size": settings.tensor_parallel_size,
    }
    options = _options(arguments)
    async with build_async_engine_client_from_engine_args(AsyncEngineArgs(**arguments)) as client:
        control = Control(client)
        await control.call("score_targets")
        app = build_app(options, await client.get_supported_tasks(), client.model_config)
        await init_app_state(client, app.state, options, await client.get_supported_tasks())
        app.include_router(control.router(await _facts(control, client, pair, sources, where)))
        guarded = app if settings.key is None else RequireKey(app, settings.key)
        server = uvicorn.Server(uvicorn.Config(guarded, log_level="critical", timeout_graceful_shutdown=1))
        # Its own handlers raise the signal again when it has ended, and vLLM's processes would be left behind.
        server.capture_signals = nullcontext  # type: ignore[method-assign, assignment]
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, server.handle_exit, number, None)
        listening.listen()  # clients that read the next line need not wait for uvicorn
        tell(f"listening on http://{settings.host}:{listening.getsockname()[1]}")
        watching = asyncio.create_task(_end_with(client, server))
        await server.serve(sockets=[listening])
        watching.cancel()
        if client.errored:
            raise UserError("vLLM's engine has died; start the server again.")


async def _end_with(client: Any, server: Any) -> None:
    """Ends the server when vLLM's processes have died: nobody should wait for what it cannot answer."""
    while not client.errored:
        await asyncio.sleep(LOOK_EVERY)
    server.should_exit = True


def _options(arguments: dict[str, Any]) -> Any:
    """Of the command line of vLLM's server, which its application is made from."""
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    try:
        from vllm.entrypoints.launchers.cli_args import make_arg_parser
    except ModuleNotFoundError:  # vLLM before 0.31 or so
        from vllm.entrypoints.openai.cli_args import make_arg_parser
    return make_arg_parser(FlexibleArgumentParser()).parse_args(["--model", arguments["model"]])


async def _facts(control: Any, client: Any, pair: Pair, sources: tuple[str, str], where: str) -> Facts:
    prompts = deep_check.check_prompts(int(pair.aligned.config["vocab_size"]))
    params = {"max_tokens": deep_check.NEW_TOKENS, "temperature": 0, "logprobs": 0, "ignore_eos": True}
    first = await control.run(prompts, [params | {"flat_logprobs": True, "detokenize": False}] * len(prompts))
    model = client.model_config
    return Facts(
        base=sources[0],
        aligned=sources[1],
        checksum=pair.checksum,
        dtype=str(model.dtype).removeprefix("torch."),
        context_length=model.max_model_len,
        vocabulary_size=model.get_vocab_size(),
        version=deep_check.engine_version(),
        place=where,
        starts_at=0.0 if pair.aligned.adapter else 1.0,
        first_answers=[list(zip(*answer.logprobs, strict=True)) for answer in first],
    )
