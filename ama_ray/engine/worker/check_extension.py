"""What the deep check asks of every worker: what the model is, and where each tensor of a checkpoint has gone."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch

from ama_ray.engine.endpoints import AT_ONCE
from ama_ray.engine.worker.fingerprint import Fingerprint
from ama_ray.engine.worker.swap_extension import SwapExtension

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_EXPONENTS = range(-14, 16)
"""Powers of two that bfloat16, float16 and float32 all have."""
_STEPS = 2**7
"""Values from one power of two to the next in bfloat16, the coarsest of them."""


class CheckExtension(SwapExtension):
    """`SwapExtension` that remembers what the model was at some moments, and compares."""

    _kept: dict[str, Fingerprint]
    _scratch: frozenset[str] = frozenset()
    _home: Mapping[str, torch.dtype] = MappingProxyType({})
    """Once `count` has looked: in which precision the endpoints are stored that a tensor of the checkpoint went to."""

    def layout(self) -> dict[str, str]:
        """What the layout of the weights depends on besides the checkpoint, as plain text."""
        from vllm.platforms import current_platform

        modules = list(self.model_runner.get_model().modules())
        kernels = {type(part).__name__ for module in modules for part in (getattr(module, "impl", None),) if part}
        for module in modules:
            if method := getattr(module, "quant_method", None):
                kernels.add(f"{type(method).__name__} {getattr(method, 'unquantized_backend', '')}".strip())
        parallel = self.vllm_config.parallel_config
        return {
            "runner": type(self.model_runner).__module__,
            "device": f"{current_platform.get_device_name()} {torch.backends.cpu.get_cpu_capability()}",
            "kernels": ", ".join(sorted(kernels)),
            "parallel": f"tensor {parallel.tensor_parallel_size}, pipeline {parallel.pipeline_parallel_size}",
            "dtype": str(self.model_runner.model_config.dtype),
        }

    def keep(self, moment: str) -> int:
        """Remembers what the model is now; returns of how many tensors."""
        if not hasattr(self, "_kept"):
            self._kept = {}
        self._kept[moment] = self._fingerprint()
        return len(self._kept[moment].prints)

    def keep_scratch(self, moment: str) -> None:
        """Takes what has changed since a moment for memory that requests compute in, and leaves it out from now on."""
        self._scratch = frozenset(self._fingerprint().differing(self._kept[moment]))

    def differing(self, moment: str) -> list[str]:
        """Where the model is not what it was at a moment, to the last bit."""
        return [place for place in self._fingerprint().differing(self._kept[moment]) if place not in self._scratch]

    def differing_weights(self, moment: str) -> list[str]:
        """The same of parameters and buffers alone, as requests have been answered in the meantime."""
        model = self.model_runner.get_model()
        named = (*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False))
        weights = {name for name, _ in named}
        return [place for place in self.differing(moment) if place in weights]

    def _fingerprint(self) -> Fingerprint:
        return Fingerprint.of(self.model_runner.get_model(), self._cache())

    def _cache(self) -> list[torch.Tensor]:
        found: list[torch.Tensor] = []
        waiting: list[Any] = [getattr(self.model_runner, "kv_caches", [])]
        while waiting:
            part = waiting.pop()
            if isinstance(part, torch.Tensor):
                found.append(part)
            else:
                waiting.extend(part.values() if isinstance(part, dict) else part or ())
        return found

    def count(self, shapes: Mapping[str, Sequence[int]], wanted: Sequence[str]) -> dict[str, list[int]]:
        """Counts how many elements of tensors of a checkpoint the live weights hold. Destroys them.

        Each part of a tensor (`parts`) is loaded filled with a number of its own, which is then looked for. There are
        as many parts as workers: some of these may hold the same heads, which must not make up for heads that none has.

        Args:
            shapes: Shape by name of every averaged tensor of the checkpoint.
            wanted: The tensors to count.

        Returns:
            Elements of every part by tensor, of this worker's part of the model.
        """
        dtype, numbers = self.model_runner.model_config.dtype, _numbers()
        count = self.vllm_config.parallel_config.world_size
        every = [(name, part) for name in wanted for part in range(count)]
        held = {name: [0] * count for name in wanted}
        home: dict[str, torch.dtype] = {}
        for first in range(0, len(every), len(numbers)):
            number = dict(zip(every[first : first + len(numbers)], numbers.tolist(), strict=False))

            def numbered(number: Mapping[tuple[str, int], float] = number) -> Iterator[tuple[str, torch.Tensor]]:
                for name, shape in shapes.items():
                    tensor = torch.zeros(tuple(shape), dtype=dtype)
                    for part, elements in enumerate(parts(tensor, count)):
                        elements.fill_(number.get((name, part), 0.0))
                    yield name, tensor

            self._load(numbered)
            for name, weight in self._weights().items():
                found = _count(weight)[_bits(numbers)].tolist()
                for (tensor, part), elements in zip(number, found, strict=False):
                    if elements:
                        held[tensor][part] += elements
                        home[tensor] = self._stored[name]
        self._home = home
        return held


def parts(tensor: torch.Tensor, count: int) -> tuple[torch.Tensor, ...]:
    """A tensor in as many parts along its first dimension, by which vLLM shares heads; views of it."""
    return torch.tensor_split(tensor if tensor.dim() else tensor.view(1), count)


def _numbers() -> torch.Tensor:
    """Numbers that bfloat16, float16 and float32 all hold exactly, in bfloat16; zero is none of them."""
    steps = 1 + torch.arange(_STEPS, dtype=torch.float64) / _STEPS
    positive = torch.cat([steps * 2.0**exponent for exponent in _EXPONENTS])
    return torch.cat([positive, -positive]).bfloat16()


def _bits(numbers: torch.Tensor) -> torch.Tensor:
    return numbers.view(torch.int16).long() & 0xFFFF


def _count(weight: torch.Tensor) -> torch.Tensor:
    """How often each bfloat16 occurs in a tensor, by its bits; elements that are none count as zero."""
    counts = torch.zeros(2**16, dtype=torch.long, device=weight.device)
    for part in torch.split(weight.view(-1), AT_ONCE):
        values, lengths = torch.unique_consecutive(part, return_counts=True)
        rounded = values.bfloat16()
        # The bits of zero, which is no number of a tensor, stand for all that is none.
        counts.index_add_(0, _bits(rounded).where(rounded.to(part.dtype) == values, 0), lengths)
    return counts.cpu()
