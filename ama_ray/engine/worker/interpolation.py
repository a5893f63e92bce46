"""The swap itself: interpolating endpoints into live weights, wherever each of them lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ama_ray.checkpoints.arithmetic import merge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

IN_CACHE = 2**18
"""Elements of a block that a CPU interpolates in one precision and writes in another: it stays in a core's cache."""
STAGED = 2**25
"""Elements of a block on its way from host memory to the accelerator, and of one that changes its precision there."""


@dataclass(frozen=True)
class Piece:
    """Elements of one parameter that share their numbers: the endpoints and the live weights, flat, of one length.

    Attributes:
        numbers: Whose values are the shares of the aligned models that differ from base here.
        base: Of base.
        aligned: Of each of these models.
        live: What is written.
    """

    numbers: tuple[str, ...]
    base: torch.Tensor
    aligned: tuple[torch.Tensor, ...]
    live: torch.Tensor

    @property
    def ends(self) -> tuple[torch.Tensor, ...]:
        """All that is read."""
        return self.base, *self.aligned

    @property
    def is_staged(self) -> bool:
        """Whether an endpoint is to be copied to where the live weights are."""
        return bool(_away(self))

    def blocks(self, size: int) -> Iterator[Piece]:
        """The piece in consecutive parts of `size` elements."""
        parts = (torch.split(tensor, size) for tensor in (self.live, *self.ends))
        return (Piece(self.numbers, base, tuple(aligned), live) for live, base, *aligned in zip(*parts, strict=True))

    def write(self, shares: Sequence[float]) -> None:
        """Merges into the live weights in one pass, where everything is in one place."""
        if self.live.dtype == self.base.dtype:
            merge(self.base, self.aligned, shares, out=self.live)
            return
        # An accelerator is kept busy by large blocks: starting its arithmetic takes longer than a small one does.
        size = IN_CACHE if self.live.is_cpu else STAGED
        scratch = torch.empty(min(size, len(self.live)), dtype=self.base.dtype, device=self.live.device)
        for block in self.blocks(size):
            block.live.copy_(merge(block.base, block.aligned, shares, out=scratch[: len(block.live)]))


def write(pieces: Iterable[tuple[Piece, Sequence[float]]], *, locked: bool = False) -> None:
    """Merges pieces into their live weights, each by its shares.

    Endpoints in host memory go to an accelerator block by block, the copy of one beside the arithmetic of the last.

    Args:
        pieces: With their shares.
        locked: Whether endpoints in host memory are locked (`HostLock`); else they go through a buffer that is.
    """
    staged = []
    for piece, shares in pieces:
        if piece.is_staged:
            staged += [(block, shares) for block in piece.blocks(STAGED)]
        else:
            piece.write(shares)
    if staged:
        _write_staged(staged, locked=locked)


def _write_staged(blocks: list[tuple[Piece, Sequence[float]]], *, locked: bool) -> None:
    device = blocks[0][0].live.device
    most = max(block.base.nbytes for block, _ in blocks)
    ways = max(len(_away(block)) for block, _ in blocks)
    rooms = [torch.empty(ways, most, dtype=torch.uint8, device=device) for _ in range(2)]
    detours = None if locked else [_locked_buffer(ways, most) for _ in range(2)]
    copies, arithmetic = torch.cuda.Stream(device), torch.cuda.current_stream(device)  # type: ignore[no-untyped-call]
    copies.wait_stream(arithmetic)
    # An event that was never recorded lets everybody pass at once.
    arrived, free = ([torch.cuda.Event() for _ in rooms] for _ in range(2))  # type: ignore[no-untyped-call]
    for number, (block, shares) in enumerate(blocks):
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
        base, *aligned = (next(here) if _is_away(end, block.live) else end for end in block.ends)
        Piece(block.numbers, base, tuple(aligned), block.live).write(shares)
        free[turn].record(arithmetic)
    copies.synchronize()
    arithmetic.synchronize()


def _is_away(end: torch.Tensor, live: torch.Tensor) -> bool:
    return end.device != live.device


def _away(piece: Piece) -> list[torch.Tensor]:
    """The endpoints of a piece that are to be copied."""
    return [end for end in piece.ends if _is_away(end, piece.live)]


def _view(room: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The first bytes of a room, as many and of the same dtype as a tensor's."""
    return room[: like.nbytes].view(like.dtype)


def _locked_buffer(ways: int, size: int) -> torch.Tensor:
    """Host memory of `ways` times `size` bytes, locked where the machine locks any."""
    try:
        return torch.empty(ways, size, dtype=torch.uint8, pin_memory=True)
    except RuntimeError:
        return torch.empty(ways, size, dtype=torch.uint8)
