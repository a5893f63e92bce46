"""Opening a file of tensors whose header may be a stranger's."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from ama_ray.errors import UserError, one_line
from ama_ray.reading import LIMIT, open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Opens a file as `safe_open` does, once its header was read.

    Raises:
        UserError: It is no regular file, is truncated or damaged, or has two tensors of one name.
    """
    try:
        _check_header(path)
        with safe_open(path, "pt") as file:
            yield file
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: truncated or damaged ({one_line(error)}); copy or download it again.") from None


def _check_header(path: Path) -> None:
    """Refuses two tensors of one name, of which safetensors takes one.

    Raises:
        OSError: It is no regular file.
        ValueError: Its header is no JSON, or has a name twice.
    """
    with open_regular(path, limit=None) as file:
        size = int.from_bytes(file.read(8), "little")
        header = file.read(min(size, os.fstat(file.fileno()).st_size, LIMIT))
    json.loads(header, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"its header has {next(name for name in names if names.count(name) > 1)} twice")
    return found
