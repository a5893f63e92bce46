"""Files of a stranger's run or export, damaged in every way and at random: each reader reads them or says why not."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ama_ray.config import RunConfig
from ama_ray.errors import UserError
from ama_ray.export.merge_file import Group, MergeFile, Parent
from ama_ray.jobs import archive
from ama_ray.scores.item_text import ItemText
from ama_ray.scores.trial import KeptReply
from ama_ray.storage.identity import read_identity, write_identity
from ama_ray.storage.item_store import ItemStore
from ama_ray.storage.item_texts import ItemTexts
from ama_ray.storage.names import IDENTITY, OBJECTIVES, REPLIES, RUN, SUMMARY, TRIALS
from ama_ray.storage.objectives_file import ObjectivesFile
from ama_ray.storage.records import ReplyStore, read_trials
from ama_ray.storage.run_folder import finished
from tests.support.hostile import DEEP, within
from tests.support.runs import config_of, run_of, write_run
from tests.support.trials import five_trials

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ITEMS, MERGE, PARCEL = "items/search/3.npz", "merge.json", "parcel.zip"
ASKED, ANSWERED = "texts/items.jsonl", "texts/3.jsonl"
READERS: dict[str, Callable[[Path], Any]] = {
    RUN: lambda folder: RunConfig.load(folder / RUN),
    IDENTITY: read_identity,
    OBJECTIVES: ObjectivesFile.read,
    TRIALS: lambda folder: read_trials(folder / TRIALS),
    REPLIES: lambda folder: ReplyStore(folder / REPLIES).read(),
    ASKED: lambda folder: ItemTexts(folder / "texts").read_items(),
    ANSWERED: lambda folder: ItemTexts(folder / "texts").read_answers(3),
    SUMMARY: lambda folder: finished(folder, 99, config_of()),
    ITEMS: lambda folder: ItemStore(folder / "items", ("reward",)).read("search", 3),
    MERGE: lambda folder: MergeFile.load(folder / MERGE),
    PARCEL: lambda folder: archive.unpack((folder / PARCEL).open("rb"), folder / "here", 10_000),
}
"""What reads each file, of the folder that it lies in."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Every file as it should be."""
    folder = write_run(run_of(five_trials(), tmp_path_factory.mktemp("sound") / "run"))
    write_identity(folder, "mine", {"base and aligned": "ab" * 32})
    ReplyStore(folder / REPLIES).write(2, [KeptReply("hi", "hello \u2028 ."), KeptReply("ho", "\x1b]52;c;eA==\x07")])
    ItemTexts(folder / "texts").write_items({"facts": [ItemText("a?", "b"), ItemText("\x1b]52;c;eA==\x07")]})
    ItemTexts(folder / "texts").write_answers(3, {"facts": ["hello \u2028 .", ""]})
    (folder / SUMMARY).write_text(json.dumps({"ended": "", "interrupted": False, "versions": {"torch": "2"}}))
    ItemStore(folder / "items").write("search", 3, {"reward": np.ones((4, 2)), "facts": np.eye(3)})
    parents = Parent(source="org/base", checksum="a" * 64), Parent(source="org/aligned", checksum="b" * 64)
    groups = (Group(name="all", ratio=0.5, tensors=("x", "y")),)
    merge = MergeFile(base=parents[0], aligned=parents[1], dtype="float32", groups=groups, made_with={"torch": "2"})
    merge.save(folder / MERGE)
    with zipfile.ZipFile(folder / PARCEL, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in (IDENTITY, TRIALS, ITEMS):
            packed.write(folder / name, name)
    for name, read in READERS.items():
        read(folder)  # no error
        assert (folder / name).stat().st_size
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


def read(name: str, content: bytes, folder: Path) -> None:
    """Reads a file with this content: it is read, or refused by its name, and nothing appears beside it."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    try:
        with within(20):
            READERS[name](folder)
    except UserError as error:
        assert str(folder) in str(error) or name in str(error)
        assert "\n" not in str(error) or name == RUN  # a line for each mistake
    outside = {path.name for path in folder.parent.iterdir()}
    assert outside == {folder.name}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_read_or_refused(
    name: str, damage: str, sound: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    read(name, DAMAGES[damage](sound[name]), tmp_path / "run")


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
    read(name, data.draw(damaged(sound[name])), tmp_path_factory.mktemp("random") / "run")
