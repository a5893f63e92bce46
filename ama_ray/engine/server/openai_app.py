"""vLLM's own OpenAI application over an engine client, and a server of it that leaves signals alone."""

from __future__ import annotations

import os
import warnings
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    import uvicorn
    from fastapi import FastAPI
    from starlette.types import ASGIApp


async def openai_app(client: Any, model: str, names: Sequence[str]) -> FastAPI:
    """Makes the application of vLLM.

    Args:
        client: vLLM's `EngineClient`, or what does as much as its routes need.
        model: The path of the checkpoint.
        names: Models that it lists; none for one under the path of the checkpoint.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from vllm.entrypoints.openai.api_server import build_app, init_app_state
    os.environ.pop("VLLM_SERVER_DEV_MODE", None)  # routes by which a client may do anything
    options, tasks = _options(model, names), await client.get_supported_tasks()
    app: FastAPI = build_app(options, tasks, client.model_config)
    await init_app_state(client, app.state, options, tasks)
    return app


def quiet_server(app: ASGIApp, lifespan: Literal["auto", "off"] = "auto") -> uvicorn.Server:
    """A server within `limits`, which says nothing by itself and handles no signals.

    Its own handlers raise the signal again when it has ended, and vLLM's processes would be left behind.

    Args:
        app: What it serves.
        lifespan: Whether the application is told that the server starts and ends.
    """
    import uvicorn

    from ama_ray.engine.server import limits

    server = uvicorn.Server(limits.config(app, lifespan))
    server.capture_signals = nullcontext  # type: ignore[method-assign, assignment]
    return server


def _options(model: str, names: Sequence[str]) -> Any:
    """The arguments of vLLM's server as on its command line, which its application is made from."""
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    try:
        from vllm.entrypoints.launchers.cli_args import make_arg_parser
    except ModuleNotFoundError:  # vLLM before 0.31 or so
        from vllm.entrypoints.openai.cli_args import make_arg_parser
    listed = ["--served-model-name", *names] if names else []
    return make_arg_parser(FlexibleArgumentParser()).parse_args(["--model", model, *listed])
