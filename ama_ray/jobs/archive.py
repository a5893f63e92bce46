"""The folder of a run as lines of text: how it gets from a cluster through the log of a job, and onto a disk again."""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
import stat
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from ama_ray.errors import UserError, one_line
from ama_ray.storage.files import replacing
from ama_ray.storage.identity import STUDY, known_identity, parse_identity
from ama_ray.storage.names import IDENTITY, LOCK, RUN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import BinaryIO

BEGIN, END = "-----BEGIN RUN-----", "-----END RUN-----"
LINE = 3 * 2**14
"""Bytes that one line holds: four thirds of it as text, well below what a message from Ray's job server may have."""
GROWTH, SLACK = 2, 2**20
"""A search that goes on may write so many times the bytes, and so many bytes more, while its folder is packed."""

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
    paths = sorted(_whole_files(folder), key=lambda path: (path != folder / RUN, path))
    write(f"{BEGIN} {sum(path.stat().st_size for path in paths)}")
    lines = _Lines(write)
    # The run file comes first, by which an unfinished copy is known for a run.
    with zipfile.ZipFile(lines, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in paths:
            # Read first, as a search may be writing it: its size is then that of what is packed.
            archive.writestr(str(path.relative_to(folder)), path.read_bytes())
    lines.flush_rest()
    write(f"{END} {lines.digest.hexdigest()}")


def _whole_files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and not path.name.endswith((LOCK, ".partial")):
            yield path


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
        other: The last line that was not of the archive.
        size: Bytes of all files together, as the sender said before the first of them.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Writes to a file that is open for bytes."""
        self._file = file
        self._digest = hashlib.sha256()
        self._begun = False
        self.other = ""
        self.size = 0

    def take(self, line: str) -> bool:
        """Takes one line; returns whether it was the last.

        Raises:
            UserError: What came is not what was sent.
        """
        if not self._begun:
            self._begun = line.startswith(f"{BEGIN} ") and line.removeprefix(f"{BEGIN} ").isdecimal()
            self.size = int(line.rsplit(maxsplit=1)[-1]) if self._begun else 0
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


def unpack(file: BinaryIO, folder: Path, size: int) -> None:
    """Unpacks an archive into a folder, over what an earlier one of the same run left there.

    The archive may be a stranger's. Every file is written below the folder, never through a link, and only regular
    files are: an archive with another entry is refused whole, before anything is written. No more is unpacked than
    what the sender said, and a search may grow by meanwhile.

    Args:
        file: The archive.
        folder: The folder to write.
        size: Bytes of all files together, as the sender said (`Receiver.size`).

    Raises:
        UserError: The folder holds another run, the archive is none or names a place outside of the folder, holds more
            than it should, or the disk has no room for it.
    """
    room = shutil.disk_usage(_there(folder)).free
    if size > room:
        raise UserError(f"{folder}: the run has {size} bytes, and the disk has {room} bytes free; make room for it.")
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            targets = {entry: _target(entry, folder) for entry in archive.infolist()}
            if (whole := sum(entry.file_size for entry in targets)) > GROWTH * size + SLACK:
                raise UserError(
                    f"{folder}: what came would unpack to {whole} bytes, where the run has {size}; refused."
                )
            study = parse_identity(archive.read(IDENTITY))[STUDY]
            if known_identity(folder).get(STUDY, study) != study:
                raise UserError(f"{folder}: there is another run; give the copy another folder.")
            for entry, target in targets.items():
                target.parent.mkdir(parents=True, exist_ok=True)
                # An entry that is longer than it says raises BadZipFile.
                with archive.open(entry) as packed, replacing(target, "wb") as copy:
                    shutil.copyfileobj(packed, copy)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{folder}: what came is not the folder of a run ({one_line(error)}).") from error
    except OSError as error:  # a place before the archive's begin, a name that is too long, a disk that is full
        raise UserError(f"{folder}: what came cannot be unpacked ({error.strerror}).") from error


def _target(entry: zipfile.ZipInfo, folder: Path) -> Path:
    """Where an entry of an archive is written.

    Raises:
        ValueError: That would be outside of the folder, or the entry is no regular file, or is packed in another way
            than `pack` does.
    """
    if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"it holds {entry.filename!r}, which is encrypted, or packed in another way")
    name, mode = PurePosixPath(entry.filename), entry.external_attr >> 16
    plain = entry.filename and not entry.is_dir() and (stat.S_ISREG(mode) or not stat.S_IFMT(mode))
    if not plain or name.is_absolute() or ".." in name.parts or "\\" in entry.filename:
        raise ValueError(f"it holds {entry.filename!r}, which is no plain file below the folder of a run")
    target = folder / name
    # What is there already may be a link, too.
    if target.is_symlink() or not target.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{target} is a link, or lies behind one, to another place")
    return target


def _there(path: Path) -> Path:
    """The nearest folder above a path that is there."""
    return next(each for each in (path, *path.resolve().parents) if each.is_dir())
