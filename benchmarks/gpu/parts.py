"""Brings packages to a machine without a network, in files of a size that can be carried there one by one.

    python -m benchmarks.gpu.parts pack --out parts --without 'vllm/vllm_flash_attn/_vllm_fa2*' *.whl
    python -m benchmarks.gpu.parts unpack parts --into packages     # there, when all have arrived
    PYTHONPATH=packages:. python -m benchmarks.gpu.accept

Wheels must be of that machine's Python (`pip download --python-version 3.12 --only-binary=:all:`). vLLM 0.26.0 is the
one that was built for PyTorch 2.11 and CUDA 13; leave PyTorch itself and NVIDIA's libraries out where they are there.
Of its kernels, FlashAttention 3 does without 2 on a Hopper GPU. Needs nothing but Python.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import tarfile
import zipfile
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MEGABYTES = 40.0
MANIFEST = "parts.json"
AT_ONCE = 2**20
"""Bytes that are read or written together."""


class Splitter(io.RawIOBase):
    """Writes what it is given to `part-000`, `part-001` and so on, none larger than a limit.

    Attributes:
        digests: SHA-256 by name of every part, in their order.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        super().__init__()
        self.digests: dict[str, str] = {}
        self._folder, self._limit = folder, limit
        self._part = bytearray()

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: object) -> int:
        """Takes all of it."""
        taken = bytes(data)  # type: ignore[call-overload]
        self._part += taken
        while len(self._part) >= self._limit:
            self._flush(self._limit)
        return len(taken)

    def close(self) -> None:
        """Writes the last part."""
        if not self.closed and self._part:
            self._flush(len(self._part))
        super().close()

    def _flush(self, size: int) -> None:
        name = f"part-{len(self.digests):03d}"
        part, self._part = bytes(self._part[:size]), self._part[size:]
        (self._folder / name).write_bytes(part)
        self.digests[name] = hashlib.sha256(part).hexdigest()


class Joined(io.RawIOBase):
    """Files read one after another as one."""

    def __init__(self, paths: Sequence[Path]) -> None:
        super().__init__()
        self._data = self._read(paths)
        self._rest = b""

    @staticmethod
    def _read(paths: Sequence[Path]) -> Iterator[bytes]:
        for path in paths:
            with path.open("rb") as file:
                while data := file.read(AT_ONCE):
                    yield data

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes, or all that are left."""
        while size < 0 or len(self._rest) < size:
            if not (data := next(self._data, b"")):
                break
            self._rest += data
        size = len(self._rest) if size < 0 else size
        found, self._rest = self._rest[:size], self._rest[size:]
        return found


def pack(wheels: Sequence[Path], out: Path, *, without: Sequence[str] = (), megabytes: float = MEGABYTES) -> list[str]:
    """Packs what is in wheels, compressed as one stream.

    Args:
        wheels: Their files.
        out: A new folder for the parts and their manifest.
        without: Patterns of files in the wheels that are left out.
        megabytes: Of a part at most.

    Returns:
        The names of the parts.
    """
    out.mkdir(parents=True)
    with Splitter(out, int(megabytes * 1e6)) as splitter:
        with tarfile.open(fileobj=splitter, mode="w|xz") as archive:
            for wheel in wheels:
                with zipfile.ZipFile(wheel) as content:
                    for info in content.infolist():
                        if info.is_dir() or any(fnmatch(info.filename, pattern) for pattern in without):
                            continue
                        member = tarfile.TarInfo(info.filename)
                        member.size, member.mode = info.file_size, 0o644
                        with content.open(info) as file:
                            archive.addfile(member, file)
        splitter.close()
        digests = splitter.digests
    (out / MANIFEST).write_text(json.dumps(digests, indent=2) + "\n", encoding="utf-8")
    return list(digests)


def unpack(parts: Path, into: Path) -> None:
    """Unpacks the parts into a folder, to be put on Python's path.

    Raises:
        SystemExit: A part is missing or damaged; names it.
    """
    digests: dict[str, str] = json.loads((parts / MANIFEST).read_text(encoding="utf-8"))
    for name, digest in digests.items():
        if not (parts / name).is_file():
            raise SystemExit(f"{parts / name} has not arrived")
        if hashlib.sha256((parts / name).read_bytes()).hexdigest() != digest:
            raise SystemExit(f"{parts / name} is damaged; bring it again")
    into.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=Joined([parts / name for name in digests]), mode="r|xz") as archive:
        archive.extractall(into, filter="data")


def main() -> None:
    """Packs or unpacks."""
    parser = argparse.ArgumentParser(description="packages in parts")
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack", help="wheels into parts")
    packing.add_argument("wheels", nargs="+", type=Path)
    packing.add_argument("--out", type=Path, required=True)
    packing.add_argument("--without", action="append", default=[], help="pattern of files to leave out")
    packing.add_argument("--megabytes", type=float, default=MEGABYTES)
    unpacking = commands.add_parser("unpack", help="parts into a folder for PYTHONPATH")
    unpacking.add_argument("parts", type=Path)
    unpacking.add_argument("--into", type=Path, required=True)
    given = parser.parse_args()
    if given.command == "pack":
        print(*pack(given.wheels, given.out, without=given.without, megabytes=given.megabytes))
    else:
        unpack(given.parts, given.into)


if __name__ == "__main__":
    main()
