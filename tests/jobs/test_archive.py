"""The folder of a run on its way through the log of a job."""

from __future__ import annotations

import io
import stat
import tempfile
import zipfile
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

RUN = {"run.yaml": b"a: 1\n", "identity.json": b'{"format": "1", "study": "one"}', "log.txt": b"a line\n"}


def packed(folder: Path) -> list[str]:
    lines: list[str] = []
    archive.pack(folder, lines.append)
    return lines


def unpacked(lines: list[str], folder: Path) -> None:
    file = io.BytesIO()
    receiver = archive.Receiver(file)
    assert any(receiver.take(line) for line in ["noise", *lines])
    archive.unpack(file, folder, receiver.size)


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
    write(tmp_path / "there" / "identity.json", '{"format": "1", "study": "two"}')
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


def parcel(entries: dict[str, bytes], modes: dict[str, int] | None = None) -> io.BytesIO:
    """An archive with any names, as a stranger could make one."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in {**RUN, **entries}.items():
            entry = zipfile.ZipInfo("x")
            entry.filename, entry.compress_type = name, zipfile.ZIP_DEFLATED
            entry.external_attr = (modes or {}).get(name, 0o100644) << 16
            packed.writestr(entry, data)
    return file


OUTSIDE = ["", "../outside", "/tmp/ama-ray-outside", "items/../../outside", "..", "items\\..\\..\\outside", "items/"]
SPECIAL = {"a link": stat.S_IFLNK, "a fifo": stat.S_IFIFO, "a device": stat.S_IFBLK, "a folder": stat.S_IFDIR}


@pytest.mark.parametrize("name", OUTSIDE)
def test_nothing_is_written_outside_of_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="what came is not the folder of a run"):
        archive.unpack(parcel({name: b"bad"}), tmp_path / "here" / "deeper", 1000)
    assert not list(tmp_path.rglob("*"))
    assert not Path("/tmp/ama-ray-outside").exists()


@pytest.mark.parametrize("kind", SPECIAL)
def test_only_regular_files_are_unpacked(tmp_path: Path, kind: str) -> None:
    with pytest.raises(UserError, match="no plain file"):
        archive.unpack(parcel({"items/x": b"/etc/passwd"}, {"items/x": SPECIAL[kind] | 0o777}), tmp_path / "here", 1000)


def test_long_names_over_links_write_nothing_outside(tmp_path: Path) -> None:
    """The kind of CVE-2025-4517: a path that is too long to be resolved, behind links of the same archive."""
    long = "/".join(["d" * 247] * 16)
    entries = {f"{long}/l": ("../" * 17).encode(), f"{long}/l/outside": b"bad"}
    with pytest.raises(UserError, match="no plain file"):
        archive.unpack(parcel(entries, {f"{long}/l": stat.S_IFLNK | 0o777}), tmp_path / "here", 1000)
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("linked", ["items", "items/search", "trials.csv"])
def test_a_link_that_is_there_already_leads_nowhere(tmp_path: Path, linked: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    write(tmp_path / "elsewhere" / "kept", "kept")
    target = tmp_path / "here" / linked
    target.parent.mkdir(parents=True)
    target.symlink_to(tmp_path / "elsewhere" / ("kept" if linked == "trials.csv" else ""))
    name = linked if linked == "trials.csv" else f"{linked}/1.npz"
    with pytest.raises(UserError, match="is a link, or lies behind one"):
        archive.unpack(parcel({name: b"bad"}), tmp_path / "here", 1000)
    assert dict(contents(tmp_path / "elsewhere")) == {"kept": b"kept"}


def test_no_more_is_unpacked_than_the_sender_said(tmp_path: Path) -> None:
    bomb = parcel({"items/search/1.npz": b"\0" * 2**26})
    assert len(bomb.getvalue()) < 2**17
    with pytest.raises(UserError, match=r"would unpack to .* bytes, where the run has 1000"):
        archive.unpack(bomb, tmp_path / "here", 1000)
    with pytest.raises(UserError, match="make room for it"):
        archive.unpack(parcel({}), tmp_path / "here", 2**60)
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize("kind", ["encrypted", zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_that_is_packed_in_another_way_is_refused_whole(tmp_path: Path, kind: str | int) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", kind if isinstance(kind, int) else zipfile.ZIP_DEFLATED) as made:
        for name, data in RUN.items():
            made.writestr(name, data * 100 if name == "log.txt" else data)
    changed = bytearray(content.getvalue())
    entry = changed.rindex(b"PK\x01\x02")  # of log.txt, in the directory at the end
    if kind == "encrypted":
        changed[entry + 8] |= 1
    else:
        changed[changed.index(b"log.txt") + 20] ^= 0xFF  # within what is packed
    with pytest.raises(UserError, match=r"is encrypted, or packed in another way"):
        archive.unpack(io.BytesIO(bytes(changed)), tmp_path / "here", 10_000)
    assert not (tmp_path / "here").exists()
