"""Reading files that a stranger may have made: regular ones under a size, and JSON that is not nested without end."""

from __future__ import annotations

import errno
import io
import json
import os
import stat
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = 2**28
"""Bytes of a file that is read as a whole. The largest `tokenizer.json` that is known has an eighth of it."""
DEEPEST = 64
"""Levels of JSON in each other. What goes through a value level by level may take a few frames of Python for each."""


def open_regular(path: Path, limit: int | None = LIMIT) -> io.BufferedReader:
    """Opens a regular file for bytes. What a link leads to counts, and nothing waits for the other end of a pipe.

    Args:
        path: The file.
        limit: Bytes that it may have; None for a file that is not read as a whole.

    Raises:
        OSError: It is missing, cannot be read, is no regular file, or has more bytes.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        if limit is not None and found.st_size > limit:
            raise OSError(errno.EFBIG, f"{found.st_size} bytes, and {limit} are the most", str(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_bytes(path: Path, limit: int = LIMIT) -> bytes:
    """The bytes of a regular file.

    Raises:
        OSError: See `open_regular`.
    """
    with open_regular(path, limit) as file:
        return file.read(limit)  # a file may grow, and those of /proc say that they are empty


def read_text(path: Path, encoding: str = "utf-8", limit: int = LIMIT, newline: str | None = None) -> str:
    """The text of a regular file.

    Args:
        path: The file.
        encoding: Of the text.
        limit: Bytes that it may have.
        newline: As for `open`: by default, every end of a line is read as a line feed; empty leaves them as they are.

    Raises:
        OSError: See `open_regular`.
        UnicodeDecodeError: It is not in this encoding.
    """
    return io.TextIOWrapper(io.BytesIO(read_bytes(path, limit)), encoding, newline=newline).read()


def read_json(path: Path) -> Any:
    """What a regular file of JSON holds.

    Raises:
        OSError: See `open_regular`.
        ValueError: It is no JSON, or is nested too deep.
    """
    return parse_json(read_text(path))


def parse_json(text: str | bytes) -> Any:
    """What a text of JSON holds.

    Raises:
        ValueError: It is no JSON, or is nested too deep.
    """
    deep = f"more than {DEEPEST} levels of lists and objects in each other"
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(deep) from None
    level, depth = [value], 0
    while level := [each for each in level if isinstance(each, dict | list)]:
        depth += 1
        if depth > DEEPEST:
            raise ValueError(deep)
        level = [each for parent in level for each in (parent.values() if isinstance(parent, dict) else parent)]
    return value
