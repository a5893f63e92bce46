"""Time and memory, with PyTorch alone."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING

import torch

from ama_ray.engine.worker.interpolation import write

if TYPE_CHECKING:
    from collections.abc import Callable

    from ama_ray.engine.worker.interpolation import Piece

REPEATS = 5
WARM_UP = 2


def device() -> torch.device:
    """The GPU, or the CPU where there is none."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_name() -> str:
    """What a report calls it."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"


def synchronize() -> None:
    """Waits for the GPU, where there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def seconds(call: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median over `repeats` calls, after two that do not count; all work of the GPU included."""
    times = []
    for _ in range(repeats + WARM_UP):
        synchronize()
        start = time.perf_counter()
        call()
        synchronize()
        times.append(time.perf_counter() - start)
    return median(times[WARM_UP:])


def writing(pieces: list[Piece], ratio: float, *, locked: bool) -> Callable[[], None]:
    """A call that swaps pieces in."""
    return lambda: write([(piece, (ratio,)) for piece in pieces], locked=locked)


def copying(into: list[torch.Tensor], source: list[torch.Tensor]) -> Callable[[], None]:
    """A call that copies tensors one after another, without waiting between them."""

    def copy() -> None:
        for target, tensor in zip(into, source, strict=True):
            target.copy_(tensor, non_blocking=True)

    return copy


def drawn(shape: tuple[int, ...], dtype: torch.dtype, *, spread: float = 0.02, mean: float = 0.0) -> torch.Tensor:
    """Normally distributed values, drawn where that is fastest."""
    return torch.empty(shape, dtype=dtype, device=device()).normal_(mean, spread)
