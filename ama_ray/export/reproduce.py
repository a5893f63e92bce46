"""Making a merge again from its `merge.json`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ama_ray.errors import UserError
from ama_ray.export.merge_file import MergeFile
from ama_ray.export.write import write

if TYPE_CHECKING:
    from collections.abc import Sequence


def reproduce(file: Path, out: Path, base: str | None = None, aligned: Sequence[str] = ()) -> Path:
    """Makes the merge of a `merge.json` again, bit for bit.

    Args:
        file: The `merge.json`.
        out: A folder that does not exist yet or is empty.
        base: Folder or hub id of base, where it is not where it was.
        aligned: The same of the aligned models, in the order of the file.

    Returns:
        The folder.

    Raises:
        UserError: The file or a checkpoint cannot be read, a checkpoint is not the one that was merged, or the weights
            come out otherwise.
    """
    from ama_ray.checkpoints.pair import Pair

    merge = MergeFile.load(file)
    sources = sources_of(merge, base, aligned)
    for role, source in zip(merge.roles, sources, strict=True):
        if Path(source).is_absolute() and not Path(source).is_dir():
            raise UserError(f"{source}: {role} is not here; name its folder or hub id with --{option(role)}.")
    pair = Pair.open(sources[0], sources[1:], merge.dtype, delta=merge.delta)
    for role, source, parent, checksum in zip(merge.roles, sources, merge.parents, pair.checksums, strict=True):
        if parent.checksum != checksum:
            raise UserError(
                f"{source}: not the {role} that {file} was made of, as the checksums of their values differ; "
                f"name the right one with --{option(role)}."
            )
    moved = [p.model_copy(update={"source": source}) for p, source in zip(merge.parents, sources, strict=True)]
    further = tuple(moved[1:]) if len(moved) > 2 else moved[1]
    write(pair, merge.model_copy(update={"base": moved[0], "aligned": further}), out)
    return out


def option(role: str) -> str:
    """The option that says where a parent is."""
    return role.partition(" ")[0]


def sources_of(merge: MergeFile, base: str | None, aligned: Sequence[str]) -> list[str]:
    """Where the parents of a merge are: as it says, or as is said here.

    Raises:
        UserError: Another number of aligned models is named than there are.
    """
    count = len(merge.parents) - 1
    if aligned and len(aligned) != count:
        raise UserError(f"--aligned: this merge has {count} aligned models; name all of them, in their order.")
    places = [base, *(aligned or [""] * count)]
    return [place or parent.source for place, parent in zip(places, merge.parents, strict=True)]
