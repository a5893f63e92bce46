"""Commands that start a server: `ama-ray engine` for searches with `engine.url`, `ama-ray serve` for a run's points."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ama_ray.cli.console import RunFolders, one_run, say
from ama_ray.environment import key_of

if TYPE_CHECKING:
    from ama_ray.config import EngineSettings

Host = Annotated[str, typer.Option(help="To listen on; beyond loopback a key is needed.")]
Port = Annotated[int, typer.Option(help="To listen on; 0 is any that is free.", min=0, max=65535)]
KEY_OPTION = "--api-key-env"
KeyVariable = Annotated[str | None, typer.Option(KEY_OPTION, help="Environment variable with the key.")]
Context = Annotated[int, typer.Option(help="Tokens of context.", min=32)]


def engine_settings(vllm: str, **fields: Any) -> EngineSettings:
    """The engine of the options of a command.

    Args:
        vllm: A JSON object.
        fields: The other fields.

    Raises:
        UserError: One cannot be; names it, and says why.
    """
    from pydantic import ValidationError

    from ama_ray.config import EngineSettings
    from ama_ray.config.mistakes import mistakes
    from ama_ray.errors import UserError

    try:
        fields["vllm"] = json.loads(vllm)
        return EngineSettings.model_validate(fields)
    except json.JSONDecodeError as error:
        raise UserError(
            f"--vllm: this is not JSON ({error}); as an example: '{{\"max_num_batched_tokens\": 4096}}'."
        ) from None
    except ValidationError as error:
        found = mistakes(error, EngineSettings, fields)
        options = (UserError.of(f"--{str(each.place[0]).replace('_', '-')}", [each.said]) for each in found)
        raise UserError("\n  ".join(map(str, options))) from None


def engine(  # noqa: PLR0917
    pair: Annotated[tuple[str, str], typer.Option(help="Base and aligned: folders or hub ids.", show_default=False)],
    host: Host = "127.0.0.1",
    port: Port = 8100,
    api_key_env: KeyVariable = None,
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"], typer.Option(help="Precision; auto: the checkpoints'.")
    ] = "auto",
    max_model_len: Context = 2048,
    gpus: Annotated[int, typer.Option(help="GPUs (without any: processes) that share the weights.", min=1)] = 1,
    cpus: Annotated[int, typer.Option(help="CPU cores.", min=1)] = 1,
    kv_cache_gib: Annotated[float, typer.Option(help="GiB of KV cache on a CPU.", min=0.001)] = 1,
    kv_cache_dtype: Annotated[str, typer.Option(help="Precision of the KV cache, as fp8.")] = "auto",
    gpu_memory_utilization: Annotated[float, typer.Option(help="Share of a GPU's memory, endpoints included.")] = 0.9,
    max_num_seqs: Annotated[int | None, typer.Option(help="Most replies that are generated together.", min=1)] = None,
    vllm: Annotated[str, typer.Option(help="Further arguments of vLLM, as a JSON object.")] = "{}",
) -> None:
    """Serve a pair's merges. Example: ama-ray engine --pair base/ aligned/ --port 8100."""
    from ama_ray.engine.server.pair_server import serve as serve_pair
    from ama_ray.engine.server.settings import ServerSettings

    settings = engine_settings(
        dtype=dtype,
        gpus=gpus,
        cpus=cpus,
        kv_cache_gib=kv_cache_gib,
        kv_cache_dtype=kv_cache_dtype,
        gpu_memory_utilization=gpu_memory_utilization,
        max_num_seqs=max_num_seqs,
        vllm=vllm,
    )
    key = key_of(api_key_env, KEY_OPTION)
    serve_pair(*pair, ServerSettings(settings, max_model_len, host, port, key), say)


def serve(  # noqa: PLR0917
    run: RunFolders = None,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    api_key_env: KeyVariable = None,
    max_model_len: Context = 2048,
    gpus: Annotated[int | None, typer.Option(help="GPUs, instead of the run's for a trial.", min=1)] = None,
    cpus: Annotated[int | None, typer.Option(help="CPU cores, instead of the run's for a trial.", min=1)] = None,
) -> None:
    """Serve a run's points, each as a model of its own. Example: ama-ray serve runs/my-run --port 8000."""
    from ama_ray.pareto.named_points import served
    from ama_ray.run import StoredRun

    key = key_of(api_key_env, KEY_OPTION)
    stored = StoredRun.open(one_run(run))
    points = {name: trial.ratios for name, trial in served(stored.pareto).items()}
    from ama_ray.engine.server.point_server import serve_points
    from ama_ray.engine.server.settings import ServerSettings

    instead = {name: value for name, value in (("gpus", gpus), ("cpus", cpus)) if value}
    engine = stored.config.engine.model_copy(update=instead)
    settings = ServerSettings(engine, max_model_len, host, port, key)
    serve_points(stored.config, points, settings, say)
