"""The folder of a run on its way through the log of a job."""

from __future__ import annotations

import io
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ama_ray.errors import UserError
from ama_ray.jobs import archive
from tests.support.files import write

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN = {"run.yaml": b"a: 1\n", "identity.json": b'{"study": "one"}', "log.txt": b"a line\n"}


def packed(folder: Path) -> list[str]:
    lines: list[str] = []
    archive.pack(folder, lines.append)
    return lines


def unpacked(lines: list[str], folder: Path) -> None:
    file = io.BytesIO()
    receiver = archive.Receiver(file)
    assert any(receiver.take(line) for line in ["noise", *lines])
    archive.unpack(file, folder)


def contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    return ((path.relative_to(folder).as_posix(), path.read_bytes()) for path in folder.rglob("*") if path.is_file())


NAMES = st.text("abcé .-", min_size=1, max_size=120).map(lambda name: f"items/{name}.npz")


@given(st.dictionaries(NAMES, st.binary(max_size=300_000), max_size=4))
def test_a_run_comes_back_as_it_was(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        there, here = Path(scratch) / "there", Path(scratch) / "here"
        for name, data in (RUN | files).items():
            write(there / name)
            (there / name).write_bytes(data)
        for name in (".lock", "study.journal.lock", ".trials.csv.partial"):
            write(there / name)
        unpacked(packed(there), here)
        assert dict(contents(here)) == RUN | files


def test_a_later_copy_replaces_an_earlier_one_and_no_other_run(tmp_path: Path) -> None:
    for name, data in RUN.items():
        write(tmp_path / "there" / name, data.decode())
    unpacked(packed(tmp_path / "there"), tmp_path / "here")
    write(tmp_path / "there" / "trials.csv", "more")
    unpacked(packed(tmp_path / "there"), tmp_path / "here")
    assert (tmp_path / "here" / "trials.csv").read_text() == "more"
    write(tmp_path / "there" / "identity.json", '{"study": "two"}')
    with pytest.raises(UserError, match="there is another run"):
        unpacked(packed(tmp_path / "there"), tmp_path / "here")
    with pytest.raises(UserError, match="there is no run yet"):
        packed(tmp_path / "nowhere")


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    for name, data in RUN.items():
        write(tmp_path / "there" / name, data.decode())
    begin, body, end = packed(tmp_path / "there")
    for damaged in (body[:-8], body[4:], body[:9], f"{body[:20]}!{body[21:]}", ""):
        with pytest.raises(UserError, match="did not arrive as they were sent"):
            unpacked([begin, damaged, end], tmp_path / "here")


@pytest.mark.parametrize("name", ["../outside", "/tmp/ama-ray-outside"])
def test_nothing_is_written_outside_of_the_folder(tmp_path: Path, name: str) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as packed:
        for each, data in {**RUN, name: b"bad"}.items():
            entry = tarfile.TarInfo(each)
            entry.size = len(data)
            packed.addfile(entry, io.BytesIO(data))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        packed.addfile(link)
    with pytest.raises(UserError, match="what came is not the folder of a run"):
        archive.unpack(file, tmp_path / "here" / "deeper")
    assert not (tmp_path / "here" / "outside").exists()
    assert not Path("/tmp/ama-ray-outside").exists()
