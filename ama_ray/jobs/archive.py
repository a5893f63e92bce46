"""The folder of a run as lines of text: how it gets from a cluster through the log of a job, and onto a disk again."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

from ama_ray.errors import UserError, one_line
from ama_ray.storage.names import IDENTITY, LOCK, RUN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO

BEGIN, END = "-----BEGIN RUN-----", "-----END RUN-----"
LINE = 3 * 2**14
"""Bytes that one line holds: four thirds of it as text, well below what a message from Ray's job server may have."""

_DAMAGED = "the run's files did not arrive as they were sent; fetch them again."


def pack(folder: Path, write: Callable[[str], Any]) -> None:
    """Writes a run's folder, finished or not, as lines of text.

    Args:
        folder: The folder of the run.
        write: Called with one line after another, without its end.

    Raises:
        UserError: This is no folder of a run.
    """
    if not (folder / RUN).is_file():
        raise UserError(f"{folder}: there is no run yet; a search makes its folder when it has read its inputs.")
    lines = _Lines(write)
    write(BEGIN)
    with tarfile.open(fileobj=lines, mode="w|gz") as archive:
        # The run file comes first, by which an unfinished copy is known for a run.
        for path in sorted(folder.rglob("*"), key=lambda path: (path != folder / RUN, path)):
            if path.is_file() and not path.is_symlink() and not path.name.endswith((LOCK, ".partial")):
                _add(archive, path, str(path.relative_to(folder)))
    lines.flush_rest()
    write(f"{END} {lines.digest.hexdigest()}")


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    # Read first, as a search may be writing it: its size is then that of what is packed.
    data = path.read_bytes()
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = len(data), int(path.stat().st_mtime), 0o644
    archive.addfile(entry, io.BytesIO(data))


class _Lines(io.RawIOBase):
    """A file whose bytes become lines of base64."""

    def __init__(self, write: Callable[[str], Any]) -> None:
        self._write = write
        self._rest = b""
        self.digest = hashlib.sha256()

    def write(self, data: Any) -> int:
        self.digest.update(data)
        self._rest += bytes(data)
        while len(self._rest) >= LINE:
            self._write(base64.b64encode(self._rest[:LINE]).decode())
            self._rest = self._rest[LINE:]
        return len(data)

    def flush_rest(self) -> None:
        if self._rest:
            self._write(base64.b64encode(self._rest).decode())


class Receiver:
    """Takes the lines of `pack`, among others, and keeps the bytes in a file.

    Attributes:
        other: The last line that was not part of the archive.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Writes to a file that is open for bytes."""
        self._file = file
        self._digest = hashlib.sha256()
        self._begun = False
        self.other = ""

    def take(self, line: str) -> bool:
        """Takes one line; returns whether it was the last.

        Raises:
            UserError: What came is not what was sent.
        """
        if not self._begun:
            self._begun = line == BEGIN
            self.other = line.strip() or self.other
            return False
        if line.startswith(END):
            if line != f"{END} {self._digest.hexdigest()}":
                raise UserError(_DAMAGED)
            return True
        try:
            data = base64.b64decode(line, validate=True)
        except ValueError:
            raise UserError(_DAMAGED) from None
        self._digest.update(data)
        self._file.write(data)
        return False


def unpack(file: BinaryIO, folder: Path) -> None:
    """Unpacks an archive into a folder, over what an earlier one of the same run left there.

    Raises:
        UserError: The folder holds another run, or the archive is none.
    """
    file.seek(0)
    try:
        with tarfile.open(fileobj=file, mode="r:gz") as archive:
            packed = archive.extractfile(IDENTITY)
            study = json.loads(packed.read())["study"] if packed else None
            there = folder / IDENTITY
            if there.is_file() and json.loads(there.read_text(encoding="utf-8"))["study"] != study:
                raise UserError(f"{folder}: there is another run; give the copy another folder.")
            archive.extractall(folder, filter="data")
    except (tarfile.TarError, KeyError, ValueError) as error:
        raise UserError(f"{folder}: what came is not the folder of a run ({one_line(error)}).") from error
