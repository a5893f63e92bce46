"""Whether an export is as it was written: its files by their checksums, and its weights by its parents."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ama_ray.errors import UserError
from ama_ray.export import mergekit
from ama_ray.export.merge_file import NAME, MergeFile
from ama_ray.export.reproduce import option, reproduce, sources_of
from ama_ray.export.write import digests

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class VerifiedExport:
    """What was found right of an export.

    Attributes:
        files: How many are as its `merge.json` says: all.
        parents: Whether its parents give the same files; None where one of them is not here.
    """

    files: int
    parents: Literal[True] | None


def verify(
    folder: Path, tell: Callable[[str], None], base: str | None = None, aligned: Sequence[str] = ()
) -> VerifiedExport:
    """Checks an export against its `merge.json`, and where its parents are at hand, against what they give.

    Who can change the files can change `merge.json` too: only the parents, from where you trust them, show that.

    Args:
        folder: The export.
        tell: Called with a line for each thing that was found right, or could not be looked at.
        base: Folder or hub id of base, where it is not where it was.
        aligned: The same of the aligned models, in the order of `merge.json`.

    Returns:
        The same.

    Raises:
        UserError: A file is missing, was changed or is not of the export; or its parents give something else.
    """
    merge, found = MergeFile.load(folder / NAME), digests(folder)
    for name in sorted(merge.files.keys() | found.keys()):
        if name not in found:
            raise UserError(f"{folder / name}: missing, and {NAME} names it; take a whole copy of the export.")
        if name not in merge.files:
            raise UserError(f"{folder / name}: not of the export, as {NAME} does not name it; remove it.")
        if merge.files[name] != found[name]:
            raise UserError(f"{folder / name}: not as it was written, by the SHA-256 in {NAME}; take another copy.")
    tell(f"{len(found)} files are as {NAME} says")
    sources = sources_of(merge, base, aligned)
    given = [bool(base), *[bool(aligned)] * (len(sources) - 1)]
    away = dict.fromkeys(
        f"--{option(role)}"
        for role, source, said in zip(merge.roles, sources, given, strict=True)
        if not said and not Path(source).is_dir()
    )
    if away:
        tell(f"not compared with its parents, which are not here; give {' and '.join(away)} a folder or hub id")
        return VerifiedExport(len(found), None)
    with tempfile.TemporaryDirectory(prefix="ama_ray-verify-") as scratch:
        again = digests(reproduce(folder / NAME, Path(scratch) / "again", base, aligned))
    # The configuration for mergekit has the paths of the parents, which may lie elsewhere here.
    names = sorted((again.keys() | found.keys()) - {mergekit.NAME})
    if other := [name for name in names if again.get(name) != found.get(name)]:
        raise UserError(f"{folder / other[0]}: not what base and aligned give here; look at what differs.")
    tell("base and aligned give the same files")
    return VerifiedExport(len(found), parents=True)
