"""The swap itself: interpolating endpoints into live weights, wherever each of them lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ama_ray.checkpoints.arithmetic import interpolate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

IN_CACHE = 2**18
"""Elements of a block that a CPU interpolates in one precision and writes in another: it stays in a core's cache."""
STAGED = 2**25
"""Elements of a block on its way from host memory to the accelerator, and of one that changes its precision there."""


@dataclass(frozen=True)
class Piece:
    """Elements of one parameter that share a group: both endpoints and the live weights, flat views of one length."""

    group: str
    base: torch.Tensor
    aligned: torch.Tensor
    live: torch.Tensor

    @property
    def is_staged(self) -> bool:
        """Whether an endpoint is to be copied to where the live weights are."""
        return _is_away(self.base, self.live) or _is_away(self.aligned, self.live)

    def blocks(self, size: int) -> Iterator[Piece]:
        """The piece in consecutive parts of `size` elements."""
        parts = (torch.split(tensor, size) for tensor in (self.base, self.aligned, self.live))
        return (Piece(self.group, base, aligned, live) for base, aligned, live in zip(*parts, strict=True))

    def write(self, ratio: float) -> None:
        """Interpolates into the live weights in one pass, where everything is in one place."""
        if self.live.dtype == self.base.dtype:
            interpolate(self.base, self.aligned, ratio, out=self.live)
            return
        # An accelerator is kept busy by large blocks: starting its arithmetic takes longer than a small one does.
        size = IN_CACHE if self.live.is_cpu else STAGED
        scratch = torch.empty(min(size, len(self.live)), dtype=self.base.dtype, device=self.live.device)
        for block in self.blocks(size):
            merged = scratch[: len(block.live)]
            block.live.copy_(interpolate(block.base, block.aligned, ratio, out=merged))


def write(pieces: Iterable[tuple[Piece, float]], *, locked: bool = False) -> None:
    """Interpolates pieces into their live weights, each to its ratio.

    Endpoints in host memory go to an accelerator block by block, the copy of one beside the arithmetic of the last.

    Args:
        pieces: With their ratios.
        locked: Whether endpoints in host memory are locked (`HostLock`); else they go through a buffer that is.
    """
    staged = []
    for piece, ratio in pieces:
        if piece.is_staged:
            staged += [(block, ratio) for block in piece.blocks(STAGED)]
        else:
            piece.write(ratio)
    if staged:
        _write_staged(staged, locked=locked)


def _write_staged(blocks: list[tuple[Piece, float]], *, locked: bool) -> None:
    device = blocks[0][0].live.device
    most = max(block.base.nbytes for block, _ in blocks)
    ways = max(len(_away(block)) for block, _ in blocks)
    rooms = [torch.empty(ways, most, dtype=torch.uint8, device=device) for _ in range(2)]
    detours = None if locked else [_locked_buffer(ways, most) for _ in range(2)]
    copies, arithmetic = torch.cuda.Stream(device), torch.cuda.current_stream(device)  # type: ignore[no-untyped-call]
    copies.wait_stream(arithmetic)
    # An event that was never recorded lets everybody pass at once.
    arrived, free = ([torch.cuda.Event() for _ in rooms] for _ in range(2))  # type: ignore[no-untyped-call]
    for number, (block, ratio) in enumerate(blocks):
        turn = number % 2
        away = _away(block)
        if detours is not None:
            arrived[turn].synchronize()  # what was in this detour has left it
            away = [_view(room, end).copy_(end) for room, end in zip(detours[turn], away, strict=False)]
        with torch.cuda.stream(copies):
            copies.wait_event(free[turn])
            here = iter(
                [_view(room, end).copy_(end, non_blocking=True) for room, end in zip(rooms[turn], away, strict=False)]
            )
            arrived[turn].record(copies)
        arithmetic.wait_event(arrived[turn])
        base, aligned = (next(here) if _is_away(end, block.live) else end for end in (block.base, block.aligned))
        Piece(block.group, base, aligned, block.live).write(ratio)
        free[turn].record(arithmetic)
    copies.synchronize()
    arithmetic.synchronize()


def _is_away(end: torch.Tensor, live: torch.Tensor) -> bool:
    return end.device != live.device


def _away(piece: Piece) -> list[torch.Tensor]:
    """The endpoints of a piece that are to be copied."""
    return [end for end in (piece.base, piece.aligned) if _is_away(end, piece.live)]


def _view(room: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The first bytes of a room, as many and of the same dtype as a tensor's."""
    return room[: like.nbytes].view(like.dtype)


def _locked_buffer(ways: int, size: int) -> torch.Tensor:
    """Host memory of `ways` times `size` bytes, locked where the machine locks any."""
    try:
        return torch.empty(ways, size, dtype=torch.uint8, pin_memory=True)
    except RuntimeError:
        return torch.empty(ways, size, dtype=torch.uint8)
