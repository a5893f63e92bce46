"""Giving base the tensors of aligned, under aligned's names: writers wrap models differently, and leave parts out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ama_ray.checkpoints.parts import FURTHER, TOWERS, beside, by_structure, is_wrapper, listed

if TYPE_CHECKING:
    from ama_ray.checkpoints.checkpoint import Checkpoint


def matched(base: Checkpoint, aligned: Checkpoint) -> tuple[Checkpoint, Checkpoint, tuple[str, ...]]:
    """Both with the same tensors under aligned's names, as far as that is sound.

    What one side lacks and no score depends on is taken from the other: layers for further tokens, and the towers of
    aligned where base is text alone. Where aligned is text alone, the towers of base are left out, as a merge has the
    configuration of aligned.

    Args:
        base: As it is stored.
        aligned: The same.

    Returns:
        Base, aligned, and what to tell, a sentence each.
    """
    names = _names(base, aligned)
    ours, theirs = {names[name]: info for name, info in base.tensors.items()}, dict(aligned.tensors)
    told = [_renamed(name, new) for name, new in names.items() if name != new][:1]
    base = replace(base, tensors=ours)
    part = beside(base.shapes, base.config) | beside(aligned.shapes, aligned.config)

    def lacks(other: Checkpoint) -> set[str]:
        """The parts that a checkpoint may lack."""
        return {FURTHER} if is_wrapper(other.config) else {FURTHER, TOWERS}

    only_ours = [name for name in ours if name not in theirs and part.get(name) in lacks(aligned)]
    only_theirs = [name for name in theirs if name not in ours and part.get(name) in lacks(base)]
    kept = [name for name in only_ours if part[name] == FURTHER]
    left_out = [name for name in only_ours if part[name] == TOWERS]
    theirs |= {name: ours[name] for name in kept}
    ours = {name: info for name, info in ours.items() if name not in left_out}
    ours |= {name: theirs[name] for name in only_theirs}
    for some, side, fate in (
        (kept, "base", "and so taken from there"),
        (left_out, "base", "and so left out, as aligned is for text alone"),
        (only_theirs, "aligned", "and so taken from there"),
    ):
        if some:
            told.append(f"{listed(some)} only in {side}, {fate}.")
    return replace(base, tensors=ours), replace(aligned, tensors=theirs), tuple(told)


def _names(base: Checkpoint, aligned: Checkpoint) -> dict[str, str]:
    """Of every tensor of base, its name in aligned, or its own where there is none."""
    there = by_structure(aligned.tensors)
    ours = by_structure(base.tensors)
    names = {name: name for name in base.tensors}
    return names | {name: there[rest] for rest, name in ours.items() if rest in there}


def _renamed(name: str, new: str) -> str:
    return f"base names its tensors otherwise than aligned, as {name} is {new} there; they are matched."
