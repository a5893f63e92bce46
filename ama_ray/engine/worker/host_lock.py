"""Locking host memory, so that an accelerator copies from it at full speed. With PyTorch alone."""

from __future__ import annotations

import ctypes
import logging
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

FLAGS = (0, 8)
"""Flags of `cudaHostRegister`, in the order in which they are tried: plain, then `cudaHostRegisterReadOnly`.

Only the second takes memory that is mapped read-only, and most GPUs that are cards of their own do not know it (801).
"""


@dataclass(frozen=True)
class HostLock:
    """Host memory that CUDA has locked, where it already was.

    Attributes:
        starts: The addresses of the ranges that were locked.
    """

    starts: tuple[int, ...]

    @classmethod
    def on(cls, tensors: Iterable[torch.Tensor]) -> HostLock | None:
        """Locks the memory of tensors, all of it or nothing.

        Some machines refuse, confidential ones with every flag: what cannot be locked can still be copied, by a detour.

        Args:
            tensors: In host memory; they may share pages.

        Returns:
            What was locked, to be released before the memory is freed; or None where CUDA refuses.
        """
        runtime = _runtime()
        starts: list[int] = []
        for low, high in _pages(tensors):
            codes = []
            for flag in FLAGS:
                codes.append(int(runtime.cudaHostRegister(low, high - low, flag)))
                if not codes[-1]:
                    break
                _forget_error()
            if codes[-1]:
                cls(tuple(starts)).release()
                logging.getLogger(__name__).warning(
                    "CUDA does not lock %d bytes of host memory (cudaHostRegister: errors %s), so swaps are slower",
                    high - low,
                    codes,
                )
                return None
            starts.append(low)
        return cls(tuple(starts))

    def release(self) -> None:
        """Unlocks the memory, once nothing is being copied from it any more."""
        torch.cuda.synchronize()
        for start in self.starts:
            if _runtime().cudaHostUnregister(start):
                _forget_error()


def _runtime() -> Any:
    return torch.cuda.cudart()  # type: ignore[no-untyped-call]


def _pages(tensors: Iterable[torch.Tensor]) -> list[tuple[int, int]]:
    """The pages that tensors lie on, as ranges of addresses that do not touch.

    Neighbours in memory share pages, and none may be locked twice.
    """
    page = mmap.PAGESIZE
    ranges: list[tuple[int, int]] = []
    for start, size in sorted((tensor.data_ptr(), tensor.nbytes) for tensor in tensors if tensor.nbytes):
        low, high = start // page * page, -(-(start + size) // page) * page
        if ranges and low <= ranges[-1][1]:
            low, high = ranges[-1][0], max(ranges.pop()[1], high)
        ranges.append((low, high))
    return ranges


def _forget_error() -> None:
    """Clears the error that CUDA keeps for this thread.

    PyTorch would report it at the next kernel, whatever that is, and has no call that clears it.
    """
    for path in _mapped("libcudart"):
        ctypes.CDLL(path).cudaGetLastError()


def _mapped(name: str) -> set[str]:
    """The paths of shared libraries of this process whose file name contains `name`."""
    lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    paths = (line.partition("/") for line in lines)
    return {f"/{path}" for _, _, path in paths if name in path.rsplit("/", 1)[-1] and not path.endswith(" (deleted)")}
