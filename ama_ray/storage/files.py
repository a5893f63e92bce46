"""Files that are there whole or not at all, and files of JSON that may not be there."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from ama_ray.reading import read_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def replacing(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Opens a file that takes the place of another in one step, once its bytes are on disk.

    Args:
        path: The file; it stays as it was where the context is left by an error.
        mode: `w` for text (UTF-8, ends of lines as written), `wb` for bytes.
    """
    partial = path.with_name(f".{path.name}.partial")
    text: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    with partial.open(mode, **text) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def known_json(path: Path) -> dict[str, Any]:
    """The object that a file of JSON holds; empty where there is none that can be read."""
    try:
        found = read_json(path)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
