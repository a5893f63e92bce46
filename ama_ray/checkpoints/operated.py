"""`Operated`: an aligned checkpoint whose differences from base an operator changes as they are read."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from ama_ray.checkpoints.checkpoint import Checkpoint
from ama_ray.checkpoints.contents import streamed
from ama_ray.checkpoints.differences import operated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import torch

    from ama_ray.config.delta import Delta


@dataclass(frozen=True, kw_only=True)
class Operated(Checkpoint):
    """What an operator makes of one aligned checkpoint, or of several; nothing of it is held or written.

    All but the values of the tensors that are searched is that of the first of them.

    Attributes:
        delta: The operator.
        base: What differences are from.
        parents: The aligned checkpoints as they are stored.
        number: The position of the first among the aligned models of a run.
    """

    delta: Delta
    base: Checkpoint
    parents: tuple[Checkpoint, ...]
    number: int

    @classmethod
    def of(cls, delta: Delta, base: Checkpoint, *parents: Checkpoint, number: int = 0) -> Operated:
        """Applies an operator to checkpoints in one form."""
        first = {each.name: getattr(parents[0], each.name) for each in fields(Checkpoint)}
        return cls(**first, delta=delta, base=base, parents=parents, number=number)

    def stream(self, names: Iterable[str] | None = None) -> Iterator[tuple[str, torch.Tensor]]:
        """Its tensors, all by default, each made when its turn comes."""
        searched = set(self.searched)
        for name, base, aligned in streamed((self.base, *self.parents), self.tensors if names is None else names):
            is_changed = name in searched and base.is_floating_point()
            yield name, operated(self.delta, name, base, aligned, self.number) if is_changed else aligned[0]

    def source(self, name: str) -> Path:
        """The file to blame for the values of a tensor: that of the first of the aligned checkpoints."""
        return self.parents[0].source(name)


def operate(delta: Delta, base: Checkpoint, *aligned: Checkpoint) -> list[Checkpoint]:
    """What an operator makes of aligned checkpoints in one form: one of all of them, or one of each."""
    if delta.joins:
        return [Operated.of(delta, base, *aligned)]
    return [Operated.of(delta, base, each, number=number) for number, each in enumerate(aligned)]


def stored(aligned: Sequence[Checkpoint]) -> Iterator[Checkpoint]:
    """Aligned checkpoints as they are stored, of which an operator may have made these."""
    for each in aligned:
        yield from each.parents if isinstance(each, Operated) else (each,)
