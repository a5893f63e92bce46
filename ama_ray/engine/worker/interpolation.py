"""The swap itself: interpolating endpoints into live weights, wherever each of them lies."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ama_ray.checkpoints.merging import interpolate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ama_ray.engine.endpoints import Array

IN_CACHE = 2**18
"""Elements of a block that is interpolated in one precision and written in another: it stays in a core's cache."""
STAGED = 2**25
"""Elements of a block on its way from host memory to the accelerator."""
_READ_ONLY = 8
"""`cudaHostRegisterReadOnly`."""


@dataclass(frozen=True)
class Piece:
    """Elements of one parameter that share a group: both endpoints and the live weights, flat views of one length."""

    group: str
    base: torch.Tensor
    aligned: torch.Tensor
    live: torch.Tensor

    @property
    def is_staged(self) -> bool:
        """Whether the endpoints are to be copied to where the live weights are."""
        return self.base.device != self.live.device

    def blocks(self, size: int) -> Iterator[Piece]:
        """The piece in consecutive parts of `size` elements."""
        parts = (torch.split(tensor, size) for tensor in (self.base, self.aligned, self.live))
        return (Piece(self.group, base, aligned, live) for base, aligned, live in zip(*parts, strict=True))

    def write(self, ratio: float) -> None:
        """Interpolates into the live weights in one pass, where everything is in one place."""
        if self.live.dtype == self.base.dtype:
            interpolate(self.base, self.aligned, ratio, out=self.live)
            return
        scratch = torch.empty(min(IN_CACHE, len(self.live)), dtype=self.base.dtype, device=self.live.device)
        for block in self.blocks(IN_CACHE):
            merged = scratch[: len(block.live)]
            block.live.copy_(interpolate(block.base, block.aligned, ratio, out=merged))


def write(pieces: Iterable[tuple[Piece, float]]) -> None:
    """Interpolates pieces into their live weights, each to its ratio.

    Endpoints in host memory go to an accelerator block by block, the copy of one beside the arithmetic of the last.
    """
    staged = []
    for piece, ratio in pieces:
        if piece.is_staged:
            staged += [(block, ratio) for block in piece.blocks(STAGED)]
        else:
            piece.write(ratio)
    if staged:
        _write_staged(staged)


def _write_staged(blocks: list[tuple[Piece, float]]) -> None:
    device = blocks[0][0].live.device
    most = max(block.base.nbytes for block, _ in blocks)
    rooms = [torch.empty(2, most, dtype=torch.uint8, device=device) for _ in range(2)]
    copies, arithmetic = torch.cuda.Stream(device), torch.cuda.current_stream(device)  # type: ignore[no-untyped-call]
    copies.wait_stream(arithmetic)
    free = [torch.cuda.Event() for _ in rooms]  # type: ignore[no-untyped-call]
    for number, (block, ratio) in enumerate(blocks):
        room, done = rooms[number % 2], free[number % 2]
        with torch.cuda.stream(copies):
            copies.wait_event(done)  # passes at once while it was never recorded
            base, aligned = (
                part[: end.nbytes].view(end.dtype).copy_(end, non_blocking=True)
                for part, end in zip(room, (block.base, block.aligned), strict=True)
            )
            arrived = copies.record_event()
        arithmetic.wait_event(arrived)
        Piece(block.group, base, aligned, block.live).write(ratio)
        done.record(arithmetic)
    copies.synchronize()
    arithmetic.synchronize()


def pin(arrays: Iterable[Array]) -> None:
    """Locks arrays of the object store in memory, so that the accelerator copies from them at full speed.

    They stay where they are, shared by all engines of the node, and locked as long as this process lives.

    Raises:
        RuntimeError: CUDA cannot lock them; says how many bytes.
    """
    page = mmap.PAGESIZE
    ranges: list[list[int]] = []
    for start, size in sorted((array.ctypes.data, array.nbytes) for array in arrays if array.nbytes):
        low, high = start // page * page, -(-(start + size) // page) * page
        # Neighbours in one object share pages, and none may be locked twice.
        if ranges and low <= ranges[-1][1]:
            ranges[-1][1] = max(ranges[-1][1], high)
        else:
            ranges.append([low, high])
    runtime = torch.cuda.cudart()  # type: ignore[no-untyped-call]
    for low, high in ranges:
        if code := int(runtime.cudaHostRegister(low, high - low, _READ_ONLY)):
            raise RuntimeError(
                f"CUDA cannot lock {high - low} bytes of the object store in memory (cudaHostRegister: error {code}); "
                "set engine.endpoints to object_store"
            )
