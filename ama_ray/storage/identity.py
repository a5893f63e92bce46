"""`identity.json`: of which version the folder of a run is, its study, and checksums of what its scores depend on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ama_ray.errors import UserError
from ama_ray.reading import parse_json, read_bytes
from ama_ray.storage.files import replacing
from ama_ray.storage.names import IDENTITY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ama_ray.checkpoints.pair import Pair
    from ama_ray.config import RunConfig

PAIR = "base and aligned"
"""The entry that holds `Pair.checksum`."""
STUDY = "study"
"""The entry with the name of the Optuna study, which no other run has."""
_FORMAT = "format"
VERSION = "1"
"""Of the files in a run's folder; a change after which an older file would be read otherwise makes another one."""


def read_identity(folder: Path) -> dict[str, str]:
    """Reads what a run was searched with: the study and the checksums.

    Raises:
        FileNotFoundError: The folder has no such file.
        UserError: It is damaged, or the folder is of another version.
    """
    file = folder / IDENTITY
    try:
        return parse_identity(read_bytes(file))
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: damaged ({error}).") from None


def parse_identity(content: bytes) -> dict[str, str]:
    """What a file holds, as `read_identity`.

    Raises:
        ValueError: It is damaged.
        UserError: The folder is of another version.
    """
    found = parse_json(content)
    if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
        raise ValueError("it is no object of texts")
    if (version := found.pop(_FORMAT, "none")) != VERSION:
        raise UserError(
            f"{IDENTITY}: the folder of this run is of the format {version!r:.40}, and this version of ama_ray reads "
            f"{VERSION!r}; look at it with the version that made it, or search anew into another folder."
        )
    if STUDY not in found:
        raise ValueError("it names no study")
    return found


def write_identity(folder: Path, study: str, digests: Mapping[str, str]) -> None:
    """Writes the file, in one step."""
    with replacing(folder / IDENTITY) as file:
        file.write(json.dumps({_FORMAT: VERSION, STUDY: study, **digests}, indent=2) + "\n")


def known_identity(folder: Path) -> dict[str, str]:
    """What a run was searched with; empty where its folder has no such file.

    Raises:
        UserError: As `read_identity`.
    """
    try:
        return read_identity(folder)
    except FileNotFoundError:
        return {}


def checksums(identity: Mapping[str, str]) -> dict[str, str]:
    """The checksums in it, by what they are of."""
    return {name: digest for name, digest in identity.items() if name != STUDY}


def open_pair(config: RunConfig) -> Pair:
    """Opens the pair of a run.

    Args:
        config: The run file; where the folder of the run has no `identity.json`, the pair is taken as it is.

    Raises:
        UserError: A checkpoint is missing or off, or the pair is no longer the one that was searched.
    """
    from ama_ray.checkpoints.pair import Pair

    known = known_identity(config.out)
    pair = Pair.open(config.base, config.sources[1:], config.engine.dtype, delta=config.delta)
    if known and known.get(PAIR) != pair.checksum:
        raise UserError(
            f"{' and '.join(config.sources)}: their weights are not those that {config.out} was searched with, by "
            f"its {IDENTITY}; put those back."
        )
    return pair
