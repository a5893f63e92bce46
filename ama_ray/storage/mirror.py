"""`Mirror`: a copy of a run's folder in a bucket, brought up to date after every trial."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow.fs

from ama_ray.errors import UserError, one_line
from ama_ray.storage.identity import STUDY, known_identity, parse_identity
from ama_ray.storage.names import IDENTITY, LOCK, RUN, TRIALS
from ama_ray.storage.retry import retry_write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ama_ray.config import RunConfig

LAST = (TRIALS, IDENTITY, RUN)
"""What names the rest goes last, so that a copy that was cut short is one of an earlier moment."""


@contextmanager
def mirrored(config: RunConfig, tell: Callable[[str], None]) -> Iterator[Callable[[], None]]:
    """The held folder of a run beside its copy in `config.mirror`, where that is set.

    Args:
        config: The run.
        tell: Called with a line of text where the run is taken from there, or cannot be written there.

    Yields:
        What brings the copy up to date; it is also brought up to date in the end, however that comes.
    """
    if not config.mirror:
        yield lambda: None
        return
    mirror = Mirror(config.mirror, config.out)
    if mirror.pull():
        tell(f"{config.out}: the run was taken from {config.mirror}")
    keep = partial(retry_write, mirror.push, f"mirror: {config.mirror}", tell)
    try:
        yield keep
    except BaseException:
        with suppress(OSError):  # whoever ends a run does not want to wait
            mirror.push()
        raise
    keep()


class Mirror:
    """The copy of one folder, at whatever address `pyarrow.fs` knows: `s3://`, `gs://`, `abfs://`, `hdfs://`, `file://`.

    Credentials are those of the environment, as the clients of these stores find them.
    """

    def __init__(self, url: str, folder: Path) -> None:
        """Opens both.

        Raises:
            UserError: There is no such store, or it cannot be reached.
        """
        self._url, self._folder = url, folder
        try:
            self._store, self._path = pyarrow.fs.FileSystem.from_uri(url)
            self._store.create_dir(self._path, recursive=True)
        except (OSError, ValueError) as error:
            raise UserError(
                f"mirror: {url} cannot be used ({one_line(error)}); check it and its credentials."
            ) from None
        self._copied: dict[str, tuple[int, int]] = {}

    def pull(self) -> bool:
        """Copies the run into the folder where the folder has none, or fewer trials of the same one.

        Returns:
            Whether it did.

        Raises:
            UserError: The two hold different runs.
        """
        theirs = self._read(IDENTITY)
        if theirs is None:
            return False
        try:
            study = parse_identity(theirs)[STUDY]
        except ValueError as error:
            raise UserError(f"mirror: {self._url} holds a damaged {IDENTITY} ({error}).") from None
        if ours := known_identity(self._folder):
            if study != ours[STUDY]:
                raise UserError(
                    f"mirror: {self._url} holds another run than {self._folder}; give one of them another place."
                )
            here = self._folder / TRIALS
            if len(self._read(TRIALS) or b"") <= (here.stat().st_size if here.is_file() else 0):
                return False
        local: Any = pyarrow.fs.LocalFileSystem()
        pyarrow.fs.copy_files(
            self._path, str(self._folder), source_filesystem=self._store, destination_filesystem=local
        )
        return True

    def push(self) -> None:
        """Copies what has changed since the last call.

        Raises:
            OSError: The store cannot be written; the next call tries again.
        """
        local: Any = pyarrow.fs.LocalFileSystem()
        for path in self._files():
            name, stat = path.relative_to(self._folder).as_posix(), path.stat()
            state = stat.st_mtime_ns, stat.st_size
            if self._copied.get(name) == state:
                continue
            target = f"{self._path}/{name}"
            self._store.create_dir(target.rpartition("/")[0], recursive=True)
            pyarrow.fs.copy_files(str(path), target, source_filesystem=local, destination_filesystem=self._store)
            self._copied[name] = state

    def _files(self) -> Iterator[Path]:
        found = [path for path in sorted(self._folder.rglob("*")) if path.is_file() and path.name != LOCK]
        names = [path for path in found if path.parent == self._folder and path.name in LAST]
        yield from (path for path in found if path not in names)
        yield from sorted(names, key=lambda path: LAST.index(path.name))

    def _read(self, name: str) -> bytes | None:
        try:
            with self._store.open_input_stream(f"{self._path}/{name}") as file:
                content: bytes = file.read()
                return content
        except FileNotFoundError:
            return None
