"""Answers of judges on disk, in the user's cache folder, so that the same question is paid for once."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = "verdicts.sqlite"
MOST = 1_000_000
"""Answers that are kept; beyond, those that were stored first go."""
_WAIT = 60.0
"""Seconds to wait for another process that writes."""
_TABLE = "CREATE TABLE IF NOT EXISTS verdicts (number INTEGER PRIMARY KEY, question TEXT UNIQUE, answer TEXT) STRICT"


class JudgeCache:
    """Answers as text in a table of SQLite, safe to use from many processes.

    Whoever can write to the file can change verdicts, but nothing in it is ever run: no value is unpickled. Its folder
    is for the user alone.
    """

    def __init__(self, database: sqlite3.Connection, folder: Path) -> None:
        self._database = database
        self._folder = folder

    @classmethod
    @contextmanager
    def open(cls) -> Iterator[JudgeCache]:
        """Opens the cache.

        Raises:
            OSError: It cannot be used; names its folder.
        """
        folder = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "ama_ray" / "judges"
        with _errors_of(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
            database = sqlite3.connect(folder / FILE, timeout=_WAIT, isolation_level=None)
        with closing(database):
            with _errors_of(folder):
                database.execute(_TABLE)
            yield cls(database, folder)

    def get(self, question: dict[str, Any]) -> str | None:
        """The answer to a question that was asked before.

        Raises:
            OSError: The cache cannot be used.
        """
        with _errors_of(self._folder):
            found = self._database.execute("SELECT answer FROM verdicts WHERE question = ?", (_key(question),))
            row = found.fetchone()
        return str(row[0]) if row else None

    def keep(self, question: dict[str, Any], answer: str) -> None:
        """Keeps an answer.

        Raises:
            OSError: The cache cannot be used.
        """
        with _errors_of(self._folder):
            self._database.execute(
                "INSERT OR REPLACE INTO verdicts (question, answer) VALUES (?, ?)", (_key(question), answer)
            )
            self._database.execute(
                "DELETE FROM verdicts WHERE number <= (SELECT MAX(number) FROM verdicts) - ?", (MOST,)
            )


@contextmanager
def _errors_of(folder: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise OSError(
            f"its verdicts cannot be kept in {folder} ({error}); set XDG_CACHE_HOME to another folder"
        ) from error


def _key(question: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
