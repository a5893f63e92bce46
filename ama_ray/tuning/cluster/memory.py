"""Whether a pair fits: what a run takes of a node's memory, known before anything is loaded."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import torch

from ama_ray.engine.placement import place
from ama_ray.errors import UserError

if TYPE_CHECKING:
    from ama_ray.config import EngineSettings
    from ama_ray.evaluation.inputs import Inputs

RUNTIME = 3 * 2**29
"""Bytes that an engine takes besides its weights and its KV cache: Python, PyTorch, vLLM, activations."""
RUNTIME_ON_GPU = 5 * 2**30
"""The same in host memory with a GPU, where CUDA's libraries, compiled kernels and locked buffers are added: an
estimate, as no GPU was at hand."""
SLACK = 2**27
"""Bytes of the object store for all that is no endpoint."""
SHARE = 0.3
"""Share of the memory that Ray's object store gets by itself."""
SHARED = Path("/dev/shm")
WITHOUT_SHARED = 10**10
"""Bytes up to which Ray's object store may lie elsewhere, as in containers with a small /dev/shm; Ray's own limit."""


def uses_gpu(settings: EngineSettings) -> bool:
    """Whether engines of the run's own on this machine use its GPUs."""
    return settings.gpus != 0 and torch.cuda.is_available()


def engine_bytes(inputs: Inputs, *, on_gpu: bool) -> int:
    """Host memory of one engine; with a GPU its weights and its KV cache are there, and a server has its own."""
    if inputs.config.engine.url:
        return 0
    pair, settings = inputs.pair, inputs.config.engine
    processes = 1 if settings.ranks == 1 else settings.ranks + 1
    if on_gpu:
        return RUNTIME_ON_GPU * processes
    weights = pair.num_bytes // len(pair.endpoints) // pair.dtype.itemsize * getattr(torch, settings.dtype).itemsize
    return int(weights + settings.kv_cache_gib * 2**30) + RUNTIME * processes


def endpoint_bytes(inputs: Inputs) -> int:
    """Host memory of every node for the endpoints, as far as this machine can tell, and for what is small.

    Servers have their own, and what several GPUs share may lie on these.

    Raises:
        UserError: The model does not fit on this machine's GPUs.
    """
    settings, pair = inputs.config.engine, inputs.pair
    if settings.ranks > 1 and uses_gpu(settings) and not settings.url:
        where, _ = place(settings, pair.engine_folder, inputs.context_length, len(pair.endpoints) - 1)
        return SLACK + (0 if where == "accelerator" else pair.num_bytes)
    return SLACK + (0 if settings.url else pair.num_bytes)


def store_bytes(inputs: Inputs) -> int:
    """What the object store of every node must hold: the endpoints of engines on one GPU, and what is small."""
    return SLACK if inputs.config.engine.ranks > 1 else endpoint_bytes(inputs)


def own_store(inputs: Inputs) -> int | None:
    """Size in bytes for the object store of a Ray of our own on this machine, or None where Ray's own choice will do.

    Raises:
        UserError: The pair and an engine do not fit into this machine's memory.
    """
    store, free = store_bytes(inputs), psutil.virtual_memory().available
    endpoints = endpoint_bytes(inputs)
    engine = engine_bytes(inputs, on_gpu=uses_gpu(inputs.config.engine))
    if endpoints + engine > free:
        raise UserError(
            f"{inputs.pair.aligned.folder}: {_all(inputs)} endpoints take {_gb(endpoints)} and an engine takes "
            f"{_gb(engine)}, and this machine has {_gb(free)} of memory free; use a larger one, or a smaller pair."
        )
    shared = shutil.disk_usage(SHARED).free if SHARED.is_dir() else free
    if store > max(shared, WITHOUT_SHARED):
        raise UserError(
            f"{SHARED}: {_all(inputs)} endpoints of {inputs.pair.aligned.folder} take {_gb(store)}, and {_gb(shared)} "
            "are free there; make it larger (docker run: --shm-size)."
        )
    return None if store <= SHARE * free else store


def check_stores(inputs: Inputs) -> None:
    """Checks the object stores of the cluster that this process has joined.

    Raises:
        UserError: The pair does not fit into that of any node.
    """
    import ray

    store = store_bytes(inputs)
    largest = max(node["Resources"].get("object_store_memory", 0) for node in ray.nodes() if node["Alive"])
    if store > largest:
        raise UserError(
            f"{inputs.pair.aligned.folder}: {_all(inputs)} endpoints take {_gb(store)} of Ray's object store, and the "
            f"largest of a node has {_gb(largest)}; start Ray with --object-store-memory={store}."
        )


def _all(inputs: Inputs) -> str:
    return f"all {len(inputs.pair.endpoints)}" if inputs.pair.further else "both"


def _gb(size: float) -> str:
    return f"{size / 1e9:.1f} GB"
