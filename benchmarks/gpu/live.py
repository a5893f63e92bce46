"""What the steps with vLLM share: an engine with a pair attached, and what is looked at inside its worker."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.speed.swap import endpoints

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ama_ray.checkpoints.pair import Pair
    from ama_ray.config import EngineSettings
    from ama_ray.engine.endpoints import Endpoints
    from ama_ray.engine.in_process import InProcessEngine
    from ama_ray.engine.placement import Place
    from ama_ray.space.groups import Groups

NOT_WEIGHTS = ("kv_cache",)
"""Tensors of layers that are no weights, by a part of their names."""


def quiet() -> None:
    """Sets the environment of every step with vLLM: no network, no chatter, nothing that needs a compiler."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "VLLM_USE_FLASHINFER_SAMPLER": "0"}


def arguments(**others: Any) -> dict[str, Any]:
    """Arguments of vLLM for every engine of the steps, and some of one's own.

    `ATTENTION` in the environment names a backend of attention, as TRITON_ATTN, where vLLM came without others.
    """
    attention = os.environ.get("ATTENTION")
    return others | ({"attention_backend": attention} if attention else {})


class Live:
    """An engine with a pair attached.

    Attributes:
        engine: It.
        pair: Opened without a look at the values: all tensors count as moved.
        groups: One per layer.
        endpoints: Both, in host memory.
    """

    def __init__(self, base: Path, aligned: Path, settings: EngineSettings, context: int) -> None:
        """Starts the engine on aligned, loads both endpoints and attaches them."""
        from dataclasses import replace

        from ama_ray.checkpoints.pair import Pair
        from ama_ray.engine.dtype import resolved
        from ama_ray.engine.in_process import InProcessEngine
        from ama_ray.space.search_space import SearchSpace

        read = Pair.read(str(base), str(aligned))
        self.pair: Pair = replace(read, moves=(dict.fromkeys(read.names, 1.0),))
        self.groups: Groups = SearchSpace.load("per-layer").resolve(self.pair.names)
        self.engine: InProcessEngine = InProcessEngine(aligned, resolved(settings, self.pair), context)
        self.endpoints: Endpoints = endpoints(self.engine, self.pair, self.groups)
        self.engine.attach(self.endpoints)

    def attach(self, place: Place) -> None:
        """Attaches the endpoints once more, in another place; leaves aligned live, as at the start."""
        self.engine.swap(dict.fromkeys(self.groups.names, 1.0))
        self.engine._place = place
        self.engine.attach(self.endpoints)

    def prompts(self) -> list[list[int]]:
        """Random prompts in token ids, the same every time."""
        return prompts(self.pair.vocabulary_size)

    def ratios(self, first: float, last: float) -> dict[str, float]:
        """Ratios that rise or fall from group to group, so that a mix-up of groups shows."""
        names = self.groups.names
        return {name: first + (last - first) * n / max(1, len(names) - 1) for n, name in enumerate(names)}

    def ask(self, function: Callable[..., Any], *args: Any) -> Any:
        """Calls a function of the worker inside it."""
        return self.engine._llm.collective_rpc(function, args=args)[0]

    @property
    def config(self) -> Any:
        """The configuration that vLLM made of its arguments."""
        return self.engine._llm.llm_engine.vllm_config


def prompts(vocabulary: int, count: int = 16, length: int = 12) -> list[list[int]]:
    """Random prompts in token ids, the same every time."""
    draw = torch.Generator().manual_seed(0)
    drawn: list[list[int]] = torch.randint(vocabulary, (count, length), generator=draw).tolist()
    return drawn


def tensors_of(worker: Any) -> dict[str, torch.Tensor]:
    """Every parameter, buffer and plain tensor attribute of the live model."""
    model = worker.model_runner.get_model()
    found: dict[str, torch.Tensor] = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, torch.Tensor):
                found[f"{path}.{name}"] = value
    return {name: tensor.detach() for name, tensor in found.items() if not any(part in name for part in NOT_WEIGHTS)}


def differing(before: Mapping[str, torch.Tensor], after: Mapping[str, torch.Tensor]) -> list[str]:
    """Names of tensors that are not the same bytes, or are in one of both only."""
    odd = before.keys() ^ after.keys()
    return sorted(odd | {name for name in before.keys() & after.keys() if not _same(before[name], after[name])})


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return torch.equal(*(each.contiguous().flatten().view(torch.uint8) for each in (one, other)))


def swap_and_load(
    worker: Any, ratios: Mapping[str, float], merge: tuple[list[str], Mapping[str, tuple[float, ...]]]
) -> Any:
    """Swaps, then has vLLM load the same merge.

    Returns:
        The names of the tensors that differ; those that a CUDA graph reads and whose memory has moved (on a CPU:
        parameters); and how many tensors there are.
    """
    worker.swap(ratios)
    swapped = {name: tensor.clone() for name, tensor in tensors_of(worker).items()}
    where = {name: tensor.data_ptr() for name, tensor in tensors_of(worker).items()}
    worker.load_merge(*merge)
    loaded = tensors_of(worker)
    parameters = {name for name, _ in worker.model_runner.get_model().named_parameters()}
    read = {name: tensor for name, tensor in loaded.items() if tensor.is_cuda or name in parameters}
    moved = [name for name, tensor in read.items() if where.get(name) != tensor.data_ptr()]
    return differing(swapped, loaded), moved, len(loaded)


def there_and_back(worker: Any, here: Mapping[str, float], there: Mapping[str, float]) -> list[str]:
    """Swaps to one merge, to another and back.

    Returns:
        The names of tensors that are not what they were.
    """
    worker.swap(here)
    before = {name: tensor.clone() for name, tensor in tensors_of(worker).items()}
    worker.swap(there)
    worker.swap(here)
    return differing(before, tensors_of(worker))
