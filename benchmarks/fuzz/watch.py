"""What a reader of a stranger's file must not do: write beside it, run something, unpickle, connect."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

WRITES = {"os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "os.truncate", "os.chmod"}
NEVER = {
    *("os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "subprocess.Popen", "pickle.find_class"),
    *("socket.connect", "socket.bind", "ctypes.dlopen"),
}


class Watch:
    """Listens to what Python's audit hooks tell of, which cannot be left again; see `sys.addaudithook`.

    Attributes:
        seen: What a reader did and must not do, since it was last emptied.
        listens: Whether a reader runs.
    """

    def __init__(self, folder: Path) -> None:
        """Allows writes below a folder alone."""
        self._inside = f"{folder}{os.sep}"
        self.seen: list[str] = []
        self.listens = False
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.listens:
            return
        if event in NEVER:
            self.seen.append(f"{event} {arguments!r:.200}")
        elif event == "open":
            path, _, flags = arguments
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and not self._is_inside(path):
                self.seen.append(f"open for writing {path!r:.200}")
        elif event in WRITES:
            paths = arguments[:2] if event in {"os.rename", "os.link"} else arguments[:1]
            if event == "os.symlink" or not all(map(self._is_inside, paths)):
                self.seen.append(f"{event} {arguments!r:.200}")

    def _is_inside(self, path: Any) -> bool:
        if isinstance(path, int):  # a file that was opened, and so has been heard of
            return True
        return f"{os.path.realpath(os.fsdecode(path))}{os.sep}".startswith(self._inside)
