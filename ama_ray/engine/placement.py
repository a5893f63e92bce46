"""Where endpoints lie while trials run: on the accelerator or in host memory, locked or not, or one here, one there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

from ama_ray.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ama_ray.config import EngineSettings

Place = Literal["accelerator", "split", "pinned", "object_store"]

ON_ACCELERATOR: dict[Place, tuple[bool, bool]] = {
    "accelerator": (True, True),
    "split": (True, False),
    "pinned": (False, False),
    "object_store": (False, False),
}
"""Whether base, and whether aligned, lies on the accelerator."""
LOCKED: tuple[Place, ...] = ("split", "pinned")
"""Where what lies in host memory is locked, as far as the machine does that."""

WORKING = 2**31
"""Bytes of an accelerator that vLLM takes for activations and CUDA graphs, and a swap for its blocks: an estimate."""
LEAST_CACHE = 2**31
"""Bytes of KV cache that are worth more than an endpoint on the accelerator: with less, few replies run together."""


@dataclass(frozen=True)
class Load:
    """What a model takes of the memory of one accelerator, in bytes.

    Attributes:
        weights: The live weights, in the engine's precision.
        endpoint: One endpoint, in the precision of a merge: the checkpoint's, or the engine's where that is narrower.
        request: The KV cache of one request as long as the context; 0 where the configuration does not say.
    """

    weights: int
    endpoint: int
    request: int

    @classmethod
    def of(cls, folder: Path, settings: EngineSettings, context: int) -> Load:
        """What each of the accelerators takes that share a model by tensor parallelism.

        Of a checkpoint only what its index names counts: beside it there may be the same weights in another format.

        Args:
            folder: The checkpoint that the engine starts on.
            settings: With `dtype` resolved.
            context: Tokens of context.
        """
        from ama_ray.checkpoints.checkpoint import read_tensors
        from ama_ray.checkpoints.model_config import read_config
        from ama_ray.checkpoints.parts import text_fields

        sizes = [(math.prod(info.shape), info.dtype) for info in read_tensors(str(folder)).values()]
        precision: torch.dtype = getattr(torch, settings.dtype)

        def live(dtype: torch.dtype) -> int:
            return (precision if dtype.is_floating_point else dtype).itemsize

        weights = sum(count * live(dtype) for count, dtype in sizes)
        endpoint = sum(count * min(live(dtype), dtype.itemsize) for count, dtype in sizes)
        cached = 1 if settings.kv_cache_dtype.startswith("fp8") else precision.itemsize
        token = cache_of_a_token(text_fields(read_config(folder)), cached, settings.ranks)
        return cls(weights // settings.ranks, endpoint // settings.ranks, token * context)

    def needs(self, endpoints: int) -> int:
        """Bytes that it takes with so many endpoints beside the live weights."""
        cache = max(self.request, LEAST_CACHE) if endpoints else self.request
        return self.weights + endpoints * self.endpoint + WORKING + cache


def cache_of_a_token(config: Mapping[str, Any], itemsize: int, ranks: int) -> int:
    """Bytes of KV cache that one token takes on one of `ranks` accelerators.

    Layers with a sliding window take less in the end. Latent attention (MLA) is kept whole on every accelerator.

    Args:
        config: The model's, as transformers reads it.
        itemsize: Bytes of an element of the cache.
        ranks: Accelerators that share the heads.

    Returns:
        The bytes, or 0 where the configuration does not say.
    """
    layers = config.get("num_hidden_layers") or 0
    if latent := config.get("kv_lora_rank"):
        return int(layers * (latent + config.get("qk_rope_head_dim", 0)) * itemsize)
    heads = config.get("num_attention_heads") or 1
    dimension = config.get("head_dim") or (config.get("hidden_size") or 0) // heads
    own = math.ceil((config.get("num_key_value_heads") or heads) / ranks)
    return int(2 * layers * own * dimension * itemsize)


def decide(
    load: Load, memory: int, utilisation: float, wanted: Place | Literal["auto"] = "auto", models: int = 1
) -> tuple[Place, float]:
    """Chooses the place of the endpoints, and what share of an accelerator's memory is left to vLLM.

    Automatic is: as many endpoints on the accelerator as fit there beside the live weights and a KV cache: both, or
    one, or none. What is not there is streamed from locked host memory in every swap.

    Args:
        load: What the model takes.
        memory: Bytes of the accelerator.
        utilisation: Share of them that a run takes in all.
        wanted: Where the user wants them.
        models: How many aligned models there are.

    Returns:
        The place, and vLLM's share of the memory.

    Raises:
        UserError: The model does not fit, there or at all.
    """
    candidates: tuple[Place, ...] = ("accelerator", "split", "pinned") if wanted == "auto" else (wanted,)
    for place in candidates:
        on_it = _on_it(place, models)
        if load.needs(on_it) <= utilisation * memory:
            return place, utilisation - on_it * load.endpoint / memory
    on_it = _on_it(candidates[-1], models)
    remedy = (
        "set engine.endpoints to auto"
        if on_it
        else "use a larger GPU, or share the model among several (engine.gpus), or a shorter context"
    )
    raise UserError(
        f"engine: on each GPU the weights{' and the endpoints there' if on_it else ''} take "
        f"{(load.weights + on_it * load.endpoint) / 1e9:.1f} GB, and with activations and a KV cache "
        f"{load.needs(on_it) / 1e9:.1f} GB; {utilisation:.0%} of its {memory / 1e9:.1f} GB are not enough: {remedy}."
    )


def _on_it(place: Place, models: int) -> int:
    """How many endpoints lie on the accelerator."""
    of_base, of_aligned = ON_ACCELERATOR[place]
    return of_base + of_aligned * models


def place(settings: EngineSettings, folder: Path, context: int, models: int = 1) -> tuple[Place, float]:
    """`decide` for a checkpoint on the accelerators of this process.

    Without an accelerator the live weights are in host memory already.

    Args:
        settings: With `dtype` resolved; `endpoints` says where, or `auto`.
        folder: The checkpoint that the engine starts on.
        context: Tokens of context.
        models: How many aligned models there are.

    Raises:
        UserError: The model does not fit.
    """
    utilisation = settings.gpu_memory_utilization
    if not torch.cuda.is_available():
        return "object_store", utilisation
    return decide(Load.of(folder, settings, context), accelerator_memory(), utilisation, settings.endpoints, models)


def accelerator_memory() -> int:
    """Bytes of the first accelerator that this process sees.

    From its driver: PyTorch would start using the GPU for it, and a server's own process would keep half a gigabyte.
    """
    from vllm.platforms import current_platform

    return int(current_platform.get_device_total_memory())
