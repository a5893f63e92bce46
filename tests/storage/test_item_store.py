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
