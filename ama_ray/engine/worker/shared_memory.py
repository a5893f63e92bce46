"""Memory of a node that processes share by a name, for as long as one of them has it, however the last one ends.

It is a file of the kernel's (`memfd_create`) that lies in no folder, so that there is nothing to clean up. Who wants it
finds it among the open files of the other processes of the same user.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

PROCESSES = Path("/proc")
LOCKED = Path("/dev/shm")
"""The folder that is locked while a process looks for a name; every one of them can open it."""
COMPLETE = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
"""Seals of what has all of its content; they also keep a mapping from being cut off."""


def shared(name: str, write: Callable[[BinaryIO], None]) -> tuple[mmap.mmap, bool]:
    """Maps the memory of a name, and makes it where no process has it. While another one makes it, this waits.

    Args:
        name: Of the memory, in at most 200 letters.
        write: Writes its content, which must not be empty.

    Returns:
        The memory, which is given up with the last view of it; and whether it was made here.
    """
    while True:
        with _one_at_a_time():
            found = _open_elsewhere(name)
            file = _make(name) if found is None else found
        try:
            if found is None:
                with os.fdopen(file, "wb", closefd=False) as writing:
                    write(writing)
                fcntl.fcntl(file, fcntl.F_ADD_SEALS, COMPLETE)
                fcntl.flock(file, fcntl.LOCK_UN)
            else:
                fcntl.flock(file, fcntl.LOCK_SH)
            # Whoever made it may have ended before it was complete: then it is made again.
            if fcntl.fcntl(file, fcntl.F_GET_SEALS) & COMPLETE:
                # Mapped for writing, though nobody does: most GPUs lock no other memory.
                return mmap.mmap(file, 0), found is None
        finally:
            os.close(file)  # the mapping has a descriptor of its own


def _make(name: str) -> int:
    file = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def _open_elsewhere(name: str) -> int | None:
    """Opens what a process has open under a name."""
    target = f"/memfd:{name} (deleted)"
    for process in PROCESSES.iterdir():
        with suppress(OSError):  # it has ended, or is another user's
            for link in (process / "fd").iterdir() if process.name.isdecimal() else ():
                with suppress(FileNotFoundError):
                    if str(link.readlink()) == target:
                        return os.open(link, os.O_RDWR | os.O_CLOEXEC)
    return None


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    folder = os.open(LOCKED, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
