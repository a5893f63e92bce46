"""What all parts of a run file share: strictness, and paths relative to the file they stand in."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, WithJsonSchema

from ama_ray.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable


_VARIABLE = re.compile(r"\$(\w+|\{[^}]*\})")


@dataclass(frozen=True)
class Called:
    """What docs/run-file.md calls the values of a type."""

    name: str


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_\-]+$"), Called("name of letters, digits, `_`, `-`")]
"""Of a probe, a reward or an objective; it becomes part of a column's name."""


class Model(BaseModel):
    """A part of a run file: unknown fields are refused, and it does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def anchored(value: Any, info: ValidationInfo) -> Any:
    """A path, relative to the run file; anything else as it is.

    Raises:
        ValueError: No file of this system can have this path.
    """
    if not isinstance(value, str | Path):
        return value
    filled = _filled(value)
    try:
        path = ((info.context or {}).get("folder") or Path.cwd()) / Path(filled).expanduser()
        path.lstat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass
    except OSError as error:
        raise ValueError(f"no file can have this path ({error.strerror}); correct it") from None
    except (RuntimeError, ValueError) as error:  # an unknown home folder, and characters that no path has
        raise ValueError(f"no file can have this path ({error}); correct it") from None
    return str(path)


def _filled(path: str | Path) -> str:
    """A path with the environment variables in it, as `$SCRATCH/run`, filled in."""
    filled = os.path.expandvars(path)
    if unset := _VARIABLE.search(filled):
        raise ValueError(f"the environment variable {unset[0]} is not set; set it, or write the path without it")
    return filled


def _anchored_if_there(value: Any, info: ValidationInfo) -> Any:
    path = anchored(value, info)
    if not isinstance(value, str):
        return path
    filled = _filled(value)
    return path if filled.startswith((".", "/", "~")) or Path(path).exists() else filled


def _anchored_space(value: Any, info: ValidationInfo) -> Any:
    return anchored(value, info) if str(value).endswith((".yaml", ".yml")) else value


File = Annotated[Path, BeforeValidator(anchored), Called("path")]
"""A path; relative ones are relative to the run file, or to the working folder where there is none.

Environment variables in it are filled in, here and in `CheckpointSource`.
"""

CheckpointSource = Annotated[str, BeforeValidator(_anchored_if_there), Called("folder or hub id")]
"""A path, or a hub id with or without `@revision`."""

Space = Annotated[str | dict[str, Any], BeforeValidator(_anchored_space), Called("bundled name, path or mapping")]
"""The name of a bundled search space, a YAML file, or the space itself."""

_HUB_ID = re.compile(r"\w[\w.\-]*(/\w[\w.\-]*)?(@\w[\w.\-/]*)?")


def is_hub_id(source: str) -> bool:
    """Whether the source of a checkpoint is a model on the hub: it looks like `id` or `id@revision`, and is no path."""
    return bool(_HUB_ID.fullmatch(source)) and not Path(source).expanduser().exists()


def id_and_revision(source: str) -> tuple[str, str | None]:
    """The id of a model on the hub, and the branch, tag or commit after an `@`; None where there is none."""
    name, _, revision = source.partition("@")
    return name, revision or None


Towers = Literal["aligned", "base", "average"]
"""Where what reads and writes images and sound is from in a merge."""

HIGHEST_RATIO = 2.0
"""Aligned plus once more what alignment changed. Merges are of no use long before; what is beyond is a typing error."""


def _within_bounds(bounds: tuple[float, float]) -> tuple[float, float]:
    low, high = bounds
    if not 0 <= low < high <= HIGHEST_RATIO:
        raise ValueError(f"[{low}, {high}] is not a range of ratios; 0 <= low < high <= {HIGHEST_RATIO:g} has to hold")
    return bounds


Range = Annotated[tuple[float, float], AfterValidator(_within_bounds), Called("`[low, high]` within 0 and 2")]
"""Lowest and highest ratio: 0 is base, 1 is aligned, and beyond 1 is extrapolated (ExPO, arXiv 2404.16792)."""


def _without_key(url: str) -> str:
    if "@" in urlsplit(url).netloc:
        raise ValueError("the address must not hold a password; name a variable in api_key_env")
    return url


Address = Annotated[str, Field(pattern=r"^https?://"), AfterValidator(_without_key), Called("address")]
"""Of a server, without a password."""

StorageAddress = Annotated[
    str, Field(pattern=r"^[a-z0-9+]+://"), Called("address such as postgresql://host/name or s3://bucket/folder")
]
"""Of a database or a bucket."""

FunctionAddress = Annotated[
    str, Field(pattern=r"^.+\.(py|pickle):[A-Za-z_]\w*$"), BeforeValidator(anchored), Called("`file.py:function`")
]
"""A Python function as `file.py:function`; `search()` pickles those that it is given (`ama_ray.storage.given`)."""


def listed(value: Any) -> Any:
    """One thing as a list of one; for `BeforeValidator`."""
    return value if isinstance(value, list | tuple) else [value]


_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def shown_to_editors(names: Iterable[str]) -> WithJsonSchema:
    """What `named_or_dotted` takes, as the schema of the run file says it."""
    return WithJsonSchema({"anyOf": [{"enum": list(names)}, {"type": "string", "pattern": f"^{_DOTTED.pattern}$"}]})


def named_or_dotted(kind: str, names: Iterable[str], example: str) -> AfterValidator:
    """Takes one of the known names, or the dotted path of a class.

    Args:
        kind: What they are, for errors.
        names: The known ones.
        example: A dotted path, for errors.
    """

    def known(name: str) -> str:
        if name in names or _DOTTED.fullmatch(name):
            return name
        raise ValueError(
            f"there is no {kind} {name!r}; name one of {', '.join(names)}, or a class by its dotted path, such as "
            f"{example}{did_you_mean(name, names)}"
        )

    return AfterValidator(known)
