"""Writing a merge: weights, recipe, model card, and its configuration for mergekit."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from typing import TYPE_CHECKING

from ama_ray.errors import UserError
from ama_ray.export.merge_file import NAME, Group, MergeFile, Parent

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.checkpoints.pair import Pair
    from ama_ray.config.fields import Towers
    from ama_ray.export.merge_file import Found
    from ama_ray.space.search_space import Groups

_COMPUTES = ("ama_ray", "torch")


EQUAL = "equal"
"""The group, in a recipe, of what is equal in both and has no ratio in the search."""
TOWERS_RATIO: dict[Towers, float] = {"base": 0.0, "average": 0.5, "aligned": 1.0}
"""Share of aligned of the towers, by where the run file takes them from."""


def recipe(
    pair: Pair,
    sources: tuple[str, str],
    groups: Groups,
    ratios: dict[str, float],
    found: Found | None = None,
    *,
    towers: Towers = "aligned",
) -> MergeFile:
    """The recipe of a merge.

    Args:
        pair: The two checkpoints.
        sources: Folder or hub id of base and of aligned, as they were given.
        groups: The search space, resolved for the pair.
        ratios: Share of aligned of every group.
        found: How the ratios were found, where that is known.
        towers: Where what reads and writes images and sound is from.
    """
    from ama_ray.checkpoints.compatibility import dtype_name
    from ama_ray.checkpoints.parts import FURTHER, TOWERS
    from ama_ray.export.licence import licence

    base, aligned = (
        Parent(source=source, checksum=checksum, licence=licence(source))
        for source, checksum in zip(sources, pair.checksums, strict=True)
    )
    group_of = {**dict.fromkeys(pair.floating, EQUAL), **groups.of, **pair.beside}
    all_ratios = ratios | {EQUAL: 1.0, TOWERS: TOWERS_RATIO[towers], FURTHER: 1.0}
    members = {name: tuple(t for t in pair.floating if group_of[t] == name) for name in all_ratios}
    return MergeFile(
        base=base,
        aligned=aligned.model_copy(update={"adapter": pair.aligned.adapter is not None}),
        dtype=dtype_name(pair.dtype),
        groups=tuple(
            Group(name=name, ratio=all_ratios[name], tensors=tensors) for name, tensors in members.items() if tensors
        ),
        made_with={package: version(package) for package in _COMPUTES},
        found=found,
    )


def write(pair: Pair, merge: MergeFile, out: Path) -> None:
    """Writes a merge with its recipe and its model card.

    Args:
        pair: The two checkpoints.
        merge: The recipe. Where it has the SHA-256 of files of weights, those written have to be the same.
        out: A folder that does not exist yet or is empty.

    Raises:
        UserError: `out` has content, a tensor has no ratio, or the files are not the same.
    """
    from ama_ray.checkpoints import merging
    from ama_ray.export import mergekit
    from ama_ray.export.model_card import model_card

    with merging.complete_folder(out) as folder:
        merging.write(pair, merge.ratio_of, folder)
        files = {path.name: _sha256(path) for path in sorted(folder.glob("*.safetensors"))}
        if merge.files:
            _compare(merge, files)
        merge = merge.model_copy(update={"files": files})
        merge.save(folder / NAME)
        why_not = mergekit.why_not(pair, merge.ratio_of)
        if not why_not:
            (folder / mergekit.NAME).write_text(mergekit.mergekit_yaml(merge), encoding="utf-8")
        model_card(merge, why_not).save(folder / "README.md")


def _compare(merge: MergeFile, files: dict[str, str]) -> None:
    if files.keys() != merge.files.keys():
        raise UserError(
            f"The weights come out in the files {', '.join(files)}, and in those of {NAME} "
            f"({', '.join(merge.files)}): aligned is cut otherwise; use it as it was."
        )
    if changed := [name for name in files if files[name] != merge.files[name]]:
        known = ", ".join(f"{package} {number}" for package, number in merge.made_with.items())
        raise UserError(
            f"{changed[0]} has another SHA-256 than {NAME} says, though the checksums of base and aligned are right: "
            f"this machine or its PyTorch rounds otherwise; use {known}."
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
