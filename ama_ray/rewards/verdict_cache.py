"""Answers of judges on disk, in the user's cache folder, so that the same question is paid for once."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diskcache import Cache, JSONDisk

if TYPE_CHECKING:
    from collections.abc import Iterator


class JudgeCache:
    """Safe to use from many processes; beyond 1 GB, the answers that were stored first go."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    @classmethod
    @contextmanager
    def open(cls) -> Iterator[JudgeCache]:
        """Opens the cache.

        Raises:
            OSError: It cannot be used; names its folder.
        """
        folder = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "ama_ray" / "verdicts"
        with _errors_of(str(folder)):
            cache = Cache(str(folder), disk=JSONDisk)
        with cache:
            yield cls(cache)

    def get(self, question: dict[str, Any]) -> str | None:
        """The answer to a question that was asked before.

        Raises:
            OSError: The cache cannot be used.
        """
        with _errors_of(self._cache.directory):
            answer: str | None = self._cache.get(_key(question), retry=True)
        return answer

    def keep(self, question: dict[str, Any], answer: str) -> None:
        """Keeps an answer.

        Raises:
            OSError: The cache cannot be used.
        """
        with _errors_of(self._cache.directory):
            self._cache.set(_key(question), answer, retry=True)


@contextmanager
def _errors_of(folder: str) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise OSError(
            f"its verdicts cannot be kept in {folder} ({error}); set XDG_CACHE_HOME to another folder"
        ) from error


def _key(question: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
