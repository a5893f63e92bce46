"""`ama-ray engine`: a server for searches with `engine.url`."""

from __future__ import annotations

import os
from typing import Annotated, Literal

import typer

from ama_ray.cli.console import say
from ama_ray.errors import UserError


def engine(  # noqa: PLR0917
    pair: Annotated[tuple[str, str], typer.Option(help="Base and aligned: folders or hub ids.", show_default=False)],
    host: Annotated[str, typer.Option(help="To listen on; beyond loopback a key is needed.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="To listen on.", min=0, max=65535)] = 8100,
    api_key_env: Annotated[str | None, typer.Option(help="Environment variable with the key.")] = None,
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"], typer.Option(help="Precision; auto: the checkpoints'.")
    ] = "auto",
    max_model_len: Annotated[int, typer.Option(help="Tokens of context.", min=32)] = 2048,
    tensor_parallel_size: Annotated[int, typer.Option(help="GPUs that share the weights.", min=1)] = 1,
    cpus: Annotated[int, typer.Option(help="CPU cores.", min=1)] = 1,
    kv_cache_gib: Annotated[float, typer.Option(help="GiB of KV cache on a CPU.", min=0.001)] = 1,
) -> None:
    """Serve a pair's merges. Example: ama-ray engine --pair base/ aligned/ --port 8100."""
    from ama_ray.config import Engine
    from ama_ray.engine.server import ServerSettings, serve

    key = os.environ.get(api_key_env) if api_key_env else None
    if api_key_env and not key:
        raise UserError(f"--api-key-env: the environment variable {api_key_env} is not set; set it.")
    settings = Engine(dtype=dtype, cpus=cpus, kv_cache_gib=kv_cache_gib)
    serve(*pair, ServerSettings(settings, max_model_len, tensor_parallel_size, host, port, key), say)
