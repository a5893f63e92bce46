import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ama_ray.errors import UserError
from ama_ray.storage.item_store import ItemStore
from tests.support.hostile import ODD, one_sentence, put


def test_items_come_back_by_split_and_trial(tmp_path: Path) -> None:
    store = ItemStore(tmp_path / "items")
    first = {"facts": np.array([[1.0], [0.0]]), "fr": np.arange(6.0).reshape(2, 3)}
    store.write("search", 3, first)
    store.write("report", 3, {"facts": np.ones((4, 1))})
    read = store.read("search", 3)
    assert read.keys() == first.keys()
    assert all((read[name] == first[name]).all() for name in first)
    assert store.read("report", 3)["facts"].shape == (4, 1)
    assert not list(tmp_path.rglob("*.partial"))


def test_missing_and_broken_files_are_named(tmp_path: Path) -> None:
    store = ItemStore(tmp_path)
    with pytest.raises(UserError, match=r"7\.npz: there is no such file"):
        store.read("search", 7)
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "7.npz").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"7\.npz: not a readable file"):
        store.read("search", 7)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    (tmp_path / "search").mkdir()
    np.savez(tmp_path / "search" / "0.npz", facts=np.array([{"a": 1}], dtype=object))
    with pytest.raises(UserError, match="not a readable file"):
        ItemStore(tmp_path).read("search", 0)


ITEMS: dict[str, NDArray[np.float64]] = {
    "facts": np.eye(8)[:, :1],
    "fr": np.arange(24, dtype=np.float64).reshape((8, 3)),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> ItemStore:
    """Trial 0 is whole, and was read; trial 1 is written by each test."""
    store = ItemStore(tmp_path_factory.mktemp("whole"), tuple(ITEMS))
    store.write("search", 0, ITEMS)
    store.write("search", 1, ITEMS)
    store.read("search", 0)
    return store


def path_of(store: ItemStore) -> Path:
    return store.folder / "search" / "1.npz"


def same_or_refused(store: ItemStore, content: bytes) -> bool:
    """Whether a file is read, with what was written; otherwise it is refused with one line that names the trial."""
    path_of(store).write_bytes(content)
    try:
        read = store.read("search", 1)
    except UserError as error:
        assert "trial 1" in str(error)
        assert "\n" not in str(error)
        return False
    assert read.keys() == ITEMS.keys()
    assert all((read[name] == ITEMS[name]).all() for name in ITEMS)
    return True


@pytest.fixture
def sound(whole: ItemStore) -> bytes:
    whole.write("search", 1, ITEMS)
    return path_of(whole).read_bytes()


def test_a_file_that_is_cut_off_at_any_byte_is_refused(whole: ItemStore, sound: bytes) -> None:
    assert not any(same_or_refused(whole, sound[:end]) for end in range(len(sound)))
    assert same_or_refused(whole, sound)


def test_a_flipped_bit_changes_no_item(whole: ItemStore, sound: bytes) -> None:
    read = 0
    for place in range(len(sound)):
        flipped = sound[place] ^ 1 << place % 8
        read += same_or_refused(whole, sound[:place] + bytes([flipped]) + sound[place + 1 :])
    assert 0 < read < len(sound)  # zip has bytes that say nothing of the contents, such as dates


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ({"facts": ITEMS["facts"]}, "it has none of fr"),
        (ITEMS | {"fr": ITEMS["fr"][:3]}, r"of fr it has the shape \[3, 3\], and trial 0 has \[8, 3\]"),
        (ITEMS | {"fr": ITEMS["fr"][:, :1]}, r"of fr it has the shape \[8, 1\]"),
        (ITEMS | {"more": ITEMS["fr"]}, r"of more it has the shape \[8, 3\], and trial 0 has none"),
        (ITEMS | {"fr": np.array([["a"] * 3] * 8)}, "fr is no matrix of numbers"),
        (ITEMS | {"fr": np.arange(8.0)}, "fr is no matrix of numbers"),
        (ITEMS | {"fr": np.float64(3)}, "fr is no matrix of numbers"),
        (ITEMS | {"fr": np.zeros((0, 3))}, "fr is no matrix of numbers"),
        (ITEMS | {"fr": np.zeros((8, 3), dtype="M8[s]")}, "fr is no matrix of numbers"),
        (ITEMS | {"fr": np.zeros((8, 3), dtype=complex)}, "fr is no matrix of numbers"),
    ],
)
def test_items_that_are_not_those_of_every_trial_are_refused(
    whole: ItemStore, items: dict[str, Any], words: str
) -> None:
    np.savez(path_of(whole), **items)
    with pytest.raises(UserError, match=f"not the items of trial 1: .*{words}"):
        whole.read("search", 1)


def test_a_member_that_is_named_as_no_array_is_refused(whole: ItemStore) -> None:
    with zipfile.ZipFile(path_of(whole), "w") as archive:
        archive.writestr("fr", b"text")
        archive.writestr("facts", b"text")
    with one_sentence("not the items of trial 1: fr is no array"):
        whole.read("search", 1)


def test_an_archive_that_unpacks_to_more_than_items_have_is_refused(
    whole: ItemStore, sound: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ama_ray.storage.item_store._UNPACKED", 100)
    with pytest.raises(UserError, match="it unpacks to"):
        whole.read("search", 1)


@pytest.mark.parametrize("kind", ODD)
def test_items_that_are_no_file_are_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "search").mkdir()
    put(tmp_path / "search" / "1.npz", kind)
    with one_sentence("1.npz", "trial 1"):
        ItemStore(tmp_path).read("search", 1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_the_same_or_refused(whole: ItemStore, sound: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(sound)))
    end = data.draw(st.integers(start, min(len(sound), start + 8)))
    same_or_refused(whole, sound[:start] + data.draw(st.binary(max_size=8)) + sound[end:])


def test_what_is_not_whole_is_told_once_and_left_out(
    whole: ItemStore, sound: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert whole.read_if_whole("search", 0, 1, 0) is not None
    path_of(whole).write_bytes(sound[:-9])
    assert whole.read_if_whole("search", 0, 1) is None
    assert whole.read_if_whole("search", 1) is None
    assert whole.read_if_whole("search", 2) is None
    (told,) = caplog.messages
    assert "trial 1" in told
