"""Files of a stranger's run or export, damaged in every way and at random: each reader reads them or says why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ama_ray.checkpoints.weight_files import INDEX, SINGLE
from ama_ray.errors import UserError
from ama_ray.storage.names import JOURNAL, OBJECTIVES, RUN, TRIALS
from testing.strangers_files import READERS, SPACE, write_all
from tests.support.hostile import DEEP, within

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NEEDED = {INDEX: (SINGLE,), JOURNAL: (TRIALS, OBJECTIVES)}
"""Other files, sound ones, without which a file is not read."""
SEVERAL_LINES = (RUN, SPACE)
"""Those of which a refusal may have a line for each mistake."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Every file as it should be."""
    folder = tmp_path_factory.mktemp("sound") / "run"
    write_all(folder)
    return {name: (folder / name).read_bytes() for name in READERS}


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "one byte": lambda content: content[:1],
    "the first half": lambda content: content[: len(content) // 2],
    "the second half": lambda content: content[len(content) // 2 :],
    "all but the last byte": lambda content: content[:-1],
    "doubled": lambda content: content * 2,
    "reversed": lambda content: content[::-1],
    "zeros": lambda content: bytes(len(content)),
    "zeros in the middle": lambda content: content[:20] + bytes(20) + content[40:],
    "a byte that is no UTF-8": lambda content: content[:30] + b"\xff" + content[30:],
    "another encoding": lambda content: content.decode("latin-1").encode("utf-16"),
    "garbage before it": lambda content: b"\x00\x01garbage\n" + content,
    "garbage behind it": lambda content: content + b"\n\x00\x01garbage",
    "lists in each other": lambda content: DEEP.encode(),
    "a list": lambda content: b"[1, 2]",
    "a number": lambda content: b"1e999",
    "null": lambda content: b"null",
    "text": lambda content: b'"text"',
    "infinities": lambda content: b'{"a": Infinity, "ended": NaN, "study": -Infinity}',
    "a long number": lambda content: b"9" * 5000,
    "aliases of YAML": lambda content: (
        b"a: &a [1,1,1,1,1,1,1,1,1]\n"
        + b"".join(b"%c: &%c [%s]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 9)) for c in range(ord("b"), ord("k")))
    ),
    "a tag of Python": lambda content: b"base: !!python/object/apply:os.system ['touch was-run']\n",
}


def read(name: str, content: bytes, folder: Path, sound: dict[str, bytes]) -> None:
    """Reads a file with this content: it is read, or refused by its name, and nothing appears beside it."""
    for each in (name, *NEEDED.get(name, ())):
        (folder / each).parent.mkdir(parents=True, exist_ok=True)
        (folder / each).write_bytes(content if each == name else sound[each])
    try:
        with within(20):
            READERS[name](folder)
    except UserError as error:
        assert str(folder) in str(error) or name in str(error)
        assert "\n" not in str(error) or name in SEVERAL_LINES
    outside = {path.name for path in folder.parent.iterdir()}
    assert outside == {folder.name}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_read_or_refused(
    name: str, damage: str, sound: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    read(name, DAMAGES[damage](sound[name]), tmp_path / "run", sound)


BYTES = st.binary(min_size=1, max_size=8) | st.sampled_from(
    [b'"', b"\n", b",", b"{", b"[", b"-1", b"NaN", b"1e999", b"\\"]
)


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """A file with parts of it changed, cut out, put in or repeated."""
    for _ in range(draw(st.integers(1, 4))):
        start, length = draw(st.integers(0, len(content))), draw(st.integers(0, 40))
        inside = content[start : start + length]
        there = draw(st.just(b"") | BYTES | st.just(inside * 2) | st.just(inside[::-1]))
        content = content[:start] + there + content[start + length :]
    return content


@pytest.mark.parametrize("name", READERS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_that_is_damaged_at_random_is_read_or_refused(
    name: str, data: st.DataObject, sound: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    read(name, data.draw(damaged(sound[name])), tmp_path_factory.mktemp("random") / "run", sound)
