"""Arguments of vLLM: those that a run file names must be there, and those that trials count on are always set."""

from __future__ import annotations

import difflib
import os
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import torch

from ama_ray.checkpoints.parts import of_size
from ama_ray.engine.engine import MAX_CANDIDATES
from ama_ray.engine.model_classes import is_recurrent
from ama_ray.errors import UserError

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
            near = difflib.get_close_matches(name, known, 1)
            raise UserError(
                f"engine.vllm.{name}: the installed vLLM has no such argument"
                f"{f'; did you mean {near[0]}?' if near else '.'}"
            )


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
    if settings.max_num_seqs is not None:
        arguments["max_num_seqs"] = settings.max_num_seqs
    if on_cpu:
        arguments |= {
            "kv_cache_memory_bytes": int(settings.kv_cache_gib * 2**30),
            "block_size": 32,
            # Activations of more tokens than this leave a core's cache.
            "max_num_batched_tokens": max(1024, max_model_len),
            # A seeded prompt taken in parts would have its random numbers rolled back, which torch cannot on a CPU.
            "enable_chunked_prefill": False,
            # vLLM caches the state of recurrent layers between such parts only.
            "enable_prefix_caching": not is_recurrent(folder),
        }
    return arguments | settings.vllm


def pair_arguments(pair: Pair) -> dict[str, Any]:
    """Arguments of vLLM by which an engine on `Pair.engine_folder` has the shapes and the tokens of a merge."""
    arguments: dict[str, Any] = {"tokenizer": str(pair.tokenizer_folder)}
    if pair.is_streamed:
        arguments |= {
            "hf_overrides": of_size(pair.config, pair.vocabulary_size),
            "load_format": STREAMED,
            "model_loader_extra_config": {"base": str(pair.base.folder), "aligned": str(pair.aligned.folder)},
        }
    return arguments
