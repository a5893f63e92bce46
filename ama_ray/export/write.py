"""Writing a merge: weights, recipe, model card, and its configuration for mergekit."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from typing import TYPE_CHECKING

from ama_ray.errors import UserError
from ama_ray.export.merge_file import NAME, Group, MergeFile, Parent
from ama_ray.reading import open_regular

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ama_ray.checkpoints.pair import Pair
    from ama_ray.config.fields import Towers
    from ama_ray.export.merge_file import Found
    from ama_ray.space.groups import Groups

_COMPUTES = ("ama_ray", "torch")
CARD = "README.md"
"""What people may edit after the export, and nothing loads."""

EQUAL = "equal"
"""The group, in a recipe, of what is equal in both and has no ratio in the search."""
TOWERS_RATIO: dict[Towers, float] = {"base": 0.0, "average": 0.5, "aligned": 1.0}
"""Share of aligned of the towers, by where the run file takes them from."""


def recipe(
    pair: Pair,
    sources: Sequence[str],
    groups: Groups,
    ratios: dict[str, float],
    found: Found | None = None,
    *,
    towers: Towers = "aligned",
) -> MergeFile:
    """The recipe of a merge.

    Args:
        pair: The checkpoints.
        sources: Folder or hub id of base and of the aligned models, as they were given.
        groups: The search space, resolved for the pair.
        ratios: By number of `groups`.
        found: How the ratios were found, where that is known.
        towers: Where what reads and writes images and sound is from.
    """
    from ama_ray.checkpoints.compatibility import dtype_name
    from ama_ray.checkpoints.parts import FURTHER, TOWERS
    from ama_ray.export.licence import licence

    base, *aligned = (
        Parent(
            source=source, checksum=checksum, licence=licence(source), adapter=bool(number and end.adapter is not None)
        )
        for number, (source, checksum, end) in enumerate(zip(sources, pair.checksums, pair.parents, strict=True))
    )
    group_of = {**dict.fromkeys(pair.floating, EQUAL), **groups.of, **pair.beside}
    # What is not searched is the first aligned model's, as all else is that a merge has besides its weights.
    of_first = {EQUAL: 1.0, TOWERS: TOWERS_RATIO[towers], FURTHER: 1.0}
    rest = [0.0] * len(pair.further)
    all_shares = groups.by_group(ratios) | {name: (ratio, *rest) for name, ratio in of_first.items()}
    members = {name: tuple(t for t in pair.floating if group_of[t] == name) for name in all_shares}
    return MergeFile(
        version=3 if pair.delta else 2 if rest else 1,
        base=base,
        aligned=tuple(aligned) if len(aligned) > 1 else aligned[0],
        delta=pair.delta,
        dtype=dtype_name(pair.dtype),
        groups=tuple(
            Group(name=name, ratio=all_shares[name] if rest else all_shares[name][0], tensors=tensors)
            for name, tensors in members.items()
            if tensors
        ),
        made_with={package: version(package) for package in _COMPUTES},
        found=found,
    )


def write(pair: Pair, merge: MergeFile, out: Path) -> None:
    """Writes a merge with its recipe and its model card.

    Args:
        pair: The checkpoints.
        merge: The recipe. Where it has the SHA-256 of files of weights, those written have to be the same.
        out: A folder that does not exist yet or is empty.

    Raises:
        UserError: `out` has content, a tensor has no ratio, or the files are not the same.
    """
    from ama_ray.checkpoints import merging
    from ama_ray.export import mergekit
    from ama_ray.export.model_card import model_card

    with merging.complete_folder(out) as folder:
        merging.write(pair, merge.shares_of, folder)
        why_not = mergekit.why_not(pair, merge.shares_of)
        if not why_not:
            (folder / mergekit.NAME).write_text(mergekit.mergekit_yaml(merge), encoding="utf-8")
        files = digests(folder)
        if merge.files:
            _compare(_weights(merge.files), _weights(files), merge.made_with)
        merge = merge.model_copy(update={"files": files})
        merge.save(folder / NAME)
        model_card(merge, why_not).save(folder / CARD)


def digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file of an export but its card and recipe, by its name from the folder on.

    Raises:
        UserError: A file cannot be read.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        # What begins with a dot is of git and of the hub's cache.
        if path.is_dir() or name.as_posix() in (NAME, CARD) or name.parts[0].startswith("."):
            continue
        try:
            with open_regular(path, limit=None) as file:
                found[name.as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror}).") from None
    return found


def _weights(files: Mapping[str, str]) -> dict[str, str]:
    return {name: digest for name, digest in files.items() if name.endswith(".safetensors")}


def _compare(before: Mapping[str, str], now: Mapping[str, str], made_with: Mapping[str, str]) -> None:
    if now.keys() != before.keys():
        raise UserError(
            f"The weights come out in the files {', '.join(now)}, and in those of {NAME} "
            f"({', '.join(before)}): aligned is cut otherwise; use it as it was."
        )
    if changed := [name for name in now if now[name] != before[name]]:
        known = ", ".join(f"{package} {number}" for package, number in made_with.items())
        raise UserError(
            f"{changed[0]} has another SHA-256 than {NAME} says, though the checksums of base and aligned are right: "
            f"this machine or its PyTorch rounds otherwise; use {known}."
        )
