"""Arguments of vLLM: those that a run file names must be there, and those that trials count on are always set."""

from __future__ import annotations

import os
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import torch

from ama_ray.checkpoints.parts import of_size, text_fields
from ama_ray.engine.asking import MAX_CANDIDATES
from ama_ray.engine.model_classes import has_latent_attention, is_recurrent
from ama_ray.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.checkpoints.pair import Pair
    from ama_ray.config import EngineSettings

WORKER = "ama_ray.engine.worker.vllm_patches.PairExtension"
STREAMED = "ama_ray-pair"
"""The load format of `ama_ray.engine.worker.pair_loader`."""


def check_arguments(settings: EngineSettings) -> None:
    """Checks that the installed vLLM has the arguments that `engine.vllm` names. Imports vLLM where there are any.

    Raises:
        UserError: It has not; names the first, and the nearest that it has.
    """
    if not settings.vllm:
        return
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    from vllm.engine.arg_utils import EngineArgs

    known = [field.name for field in fields(EngineArgs)]
    for name in settings.vllm:
        if name not in known:
            raise UserError.of(
                f"engine.vllm.{name}", [f"the installed vLLM has no such argument{did_you_mean(name, known)}"]
            )


def check_ranks(settings: EngineSettings, pair: Pair) -> None:
    """Checks that the GPUs of an engine can share its attention heads.

    Args:
        settings: Of the engine.
        pair: What it is to run.

    Raises:
        UserError: They cannot.
    """
    ranks = settings.ranks
    config = text_fields(pair.config)
    heads: int = config.get("num_attention_heads") or config.get("n_head") or ranks
    pairs: int = config.get("num_key_value_heads") or heads
    # With fewer keys and values than GPUs, each of them is on several.
    if heads % ranks or (pairs % ranks and ranks % pairs):
        raise UserError(
            f"engine.gpus: {ranks} GPUs cannot share the attention of {pair.aligned.folder}, with its {heads} heads "
            f"and {pairs} of keys and values; use a number that divides them."
        )


def prepare_processes(settings: EngineSettings) -> None:
    """For processes that vLLM starts, which inherit it."""
    os.environ["OMP_NUM_THREADS"] = str(max(1, int(settings.cpus / settings.ranks)))
    if not torch.cuda.is_available() and settings.enforce_eager is not False:
        os.environ["TORCH_COMPILE_DISABLE"] = "1"


def engine_arguments(folder: Path, settings: EngineSettings, max_model_len: int) -> dict[str, Any]:
    """Arguments of vLLM that trials count on, whichever way the engine is started, and what the user adds to them.

    Args:
        folder: The checkpoint that it starts on, whose classes are imported where there is no GPU.
        settings: Precision and resources.
        max_model_len: Tokens of context the run needs.
    """
    on_cpu = not torch.cuda.is_available()
    arguments: dict[str, Any] = {
        "dtype": settings.dtype,
        "enforce_eager": on_cpu if settings.enforce_eager is None else settings.enforce_eager,
        "kv_cache_dtype": settings.kv_cache_dtype,
        "max_model_len": max_model_len,
        "enable_prefix_caching": True,
        "max_logprobs": MAX_CANDIDATES,
        "seed": 0,
        "worker_extension_cls": WORKER,
        "trust_remote_code": False,
        # Prompts are text, so towers for images and sound need not be there.
        "language_model_only": True,
    }
    if settings.ranks > 1:
        # By itself vLLM would have Ray start its processes, as an actor is in a placement group of Tune's.
        arguments |= {"tensor_parallel_size": settings.ranks, "distributed_executor_backend": "mp"}
    if settings.max_num_seqs is not None:
        arguments["max_num_seqs"] = settings.max_num_seqs
    if on_cpu:
        arguments |= {
            "kv_cache_memory_bytes": int(settings.kv_cache_gib * 2**30 / settings.ranks),
            "block_size": 32,
            # Activations of more tokens than this leave a core's cache.
            "max_num_batched_tokens": max(1024, max_model_len),
            # A seeded prompt taken in parts would have its random numbers rolled back, which torch cannot on a CPU.
            "enable_chunked_prefill": False,
            # vLLM caches the state of recurrent layers between such parts only.
            "enable_prefix_caching": not is_recurrent(folder),
        }
        if has_latent_attention(folder):
            # With AMX vLLM would pack a part of the attention's weights where no swap reaches them.
            arguments["attention_backend"] = "CPU_MLA"
    return arguments | settings.vllm


def pair_arguments(pair: Pair) -> dict[str, Any]:
    """Arguments of vLLM by which an engine on `Pair.engine_folder` has tokens, shapes and precision of a merge."""
    arguments: dict[str, Any] = {"tokenizer": str(pair.tokenizer_folder)}
    if pair.is_grown:
        arguments["hf_overrides"] = of_size(pair.config, pair.vocabulary_size)
    if pair.is_streamed:
        arguments |= {
            "load_format": STREAMED,
            "model_loader_extra_config": pair.sources,
        }
    return arguments
