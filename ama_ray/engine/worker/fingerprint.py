"""Fingerprints of all that a model computes with: what has to be equal to the last bit can be compared without a copy.

Besides its parameters and buffers, these are the tensors that layers and kernels of vLLM keep to themselves.
"""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

Print = tuple[str, tuple[int, ...], int]
"""Of one tensor: dtype, shape, and a hash of its bytes."""

AT_ONCE = 2**18
"""Words of 8 bytes that are hashed together: on a CPU they stay in a core's cache."""
AT_ONCE_ON_GPU = 2**24
_APART = ("vllm.config", "vllm.compilation", "vllm.distributed")
"""Modules whose objects hang on a model without being part of it: settings, graphs, connections between processes."""
_LISTED_BY_TORCH = ("_parameters", "_buffers", "_modules")
"""Attributes of every module, whose content torch lists under the names that checkpoints use."""


@dataclass(frozen=True)
class Fingerprint:
    """What a model was at one moment.

    Attributes:
        prints: By where the tensor is, `model.layers.0.mlp.gate_up_proj.weight` for instance.
    """

    prints: dict[str, Print]

    @classmethod
    def of(cls, model: torch.nn.Module, without: Collection[torch.Tensor] = ()) -> Fingerprint:
        """Takes the fingerprint of every tensor of a model, except those that lie in the memory of some others.

        Args:
            model: As vLLM runs it.
            without: The KV cache, which holds no weights.
        """
        left_out = {tensor.untyped_storage().data_ptr() for tensor in without}
        known: dict[Any, Print] = {}
        prints = {}
        for place, tensor in tensors(model):
            if tensor.untyped_storage().data_ptr() in left_out:
                continue
            same = (tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride(), tensor.device)
            if same not in known:
                known[same] = (str(tensor.dtype), tuple(tensor.shape), _hash(tensor))
            prints[place] = known[same]
        return cls(prints)

    def differing(self, other: Fingerprint) -> list[str]:
        """The places at which two moments of one model differ, those included that only one of them has."""
        return sorted({place for place, _ in self.prints.items() ^ other.prints.items()})


def tensors(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor that a model holds, with its place.

    The search goes through modules, containers, functions with what they enclose, and objects of vLLM's own classes,
    as kernels are. A tensor that several of them hold comes once for each.
    """
    seen: set[int] = set()
    waiting: list[tuple[str, Any]] = [("", model)]
    while waiting:
        place, thing = waiting.pop()
        if isinstance(thing, torch.Tensor):
            if thing.layout == torch.strided and not thing.is_meta:
                yield place, thing.detach()
            continue
        parts = _parts(thing)
        # Only what lives on in the model has a number of its own: a bound method is made anew each time.
        if parts is None or id(parts[0]) in seen:
            continue
        seen.add(id(parts[0]))
        waiting.extend((f"{place}.{name}" if place else name, part) for name, part in parts[1])


def _parts(thing: Any) -> tuple[Any, list[tuple[str, Any]]] | None:
    """What identifies an object and what it holds, by name; None where nothing is looked for in it."""
    if isinstance(thing, MethodType):
        thing = thing.__self__
    parts: list[tuple[str, Any]] | None = None
    match thing:
        case torch.nn.Module():
            own = [(name, part) for name, part in vars(thing).items() if name not in _LISTED_BY_TORCH]
            parameters = thing.named_parameters(recurse=False, remove_duplicate=False)
            parts = [*own, *parameters, *thing.named_buffers(recurse=False), *thing.named_children()]
        case dict():
            parts = [(str(key), part) for key, part in thing.items()]
        case list() | tuple():
            parts = [(str(number), part) for number, part in enumerate(thing)]
        case functools.partial():
            parts = [("func", thing.func), ("args", thing.args), ("keywords", thing.keywords)]
        case FunctionType():
            parts = list(inspect.getclosurevars(thing).nonlocals.items())
        case _ if type(thing).__module__.startswith("vllm.") and not type(thing).__module__.startswith(_APART):
            parts = list(getattr(thing, "__dict__", {}).items())
    return None if parts is None else (thing, parts)


@functools.cache
def _weights(size: int, device: torch.device) -> torch.Tensor:
    """Random odd numbers, the same in every process."""
    drawn = torch.randint(-(2**62), 2**62, (size,), generator=torch.Generator().manual_seed(0)) * 2 + 1
    return drawn.to(device)


def _hash(tensor: torch.Tensor) -> int:
    """A hash of 64 bits of a tensor's bytes in their order.

    It is a sum of the 8-byte words, each with a random weight, and of the sums of blocks in the same way, so that it
    costs little more than reading them, wherever they lie.
    """
    raw = tensor.contiguous().view(-1).view(torch.uint8)
    if len(raw) % 8 or raw.storage_offset() % 8:
        padded = raw.new_zeros(-(-len(raw) // 8) * 8)
        padded[: len(raw)] = raw
        raw = padded
    size = AT_ONCE if raw.device.type == "cpu" else AT_ONCE_ON_GPU
    weights = _weights(size, raw.device)
    sums = []
    for block in torch.split(raw.view(torch.int64), size):
        # The upper bits count as much as the lower ones, which products leave in the low half.
        mixed = block.bitwise_xor(block >> 32)
        sums.append(mixed.mul_(weights[: len(block)]).sum())
    if not sums:
        return 0
    return int((torch.stack(sums) * _weights(len(sums), raw.device)).sum())
