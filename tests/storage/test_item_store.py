from pathlib import Path

import numpy as np
import pytest

from ama_ray.errors import UserError
from ama_ray.storage.records import ItemStore


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


def test_the_rest_of_the_search_split_is_read_where_all_have_it(tmp_path: Path) -> None:
    store = ItemStore(tmp_path / "items")
    for number in (0, 1):
        seen = {"facts": np.full((2, 1), number), "task": np.full((3, 1), number)}
        store.write("search", number, seen, {"facts": np.full((4, 1), 10 + number)})
    store.write("search", 2, {"facts": np.full((2, 1), 2), "task": np.full((3, 1), 2)})
    assert store.read("search", 1)["facts"].tolist() == [[1]] * 2
    base, aligned = store.read_all("search", 0, 1)
    assert base["facts"].tolist() == [[0]] * 2 + [[10]] * 4
    assert aligned["facts"].tolist() == [[1]] * 2 + [[11]] * 4
    assert aligned["task"].tolist() == [[1]] * 3
    # Another trial has seen no more, and pairs are of the same items.
    assert [items["facts"].shape for items in store.read_all("search", 0, 2)] == [(2, 1), (2, 1)]
    store.write("report", 0, {"facts": np.ones((5, 1))})
    assert [items["facts"].shape for items in store.read_all("report", 0)] == [(5, 1)]


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
