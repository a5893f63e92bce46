"""Where Ray is looked for, and where a Ray of our own has its files; none is started."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from ama_ray.errors import UserError
from ama_ray.tuning.cluster import ray_cluster
from ama_ray.tuning.cluster.ray_cluster import LONGEST_FOLDER, SHORT_FOLDERS, ray_folder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_ADDRESS", "RAY_TMPDIR", "TMPDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("ray.is_initialized", lambda: False)


def test_a_short_folder_is_left_to_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ray_folder() == "/tmp"
    monkeypatch.setenv("TMPDIR", "/var/tmp")
    assert ray_folder() == "/var/tmp"
    monkeypatch.setenv("RAY_TMPDIR", "/dev/shm")
    assert ray_folder() == "/dev/shm"


def test_a_long_folder_is_given_up_for_a_short_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("long" * 20)
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    assert ray_folder() in SHORT_FOLDERS
    monkeypatch.setattr(ray_cluster, "SHORT_FOLDERS", ())
    with pytest.raises(UserError, match=rf"^TMPDIR: {long} cannot hold the sockets of Ray; .* {LONGEST_FOLDER} char"):
        ray_folder()


def test_the_longest_folder_leaves_room_for_ray_s_sockets() -> None:
    session = "/ray/session_2026-12-31_23-59-59_123456_4194304/sockets/plasma_store"
    assert LONGEST_FOLDER + len(session) == 107


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_where_nobody_listens_is_told_at_once(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"{scheme}127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("RAY_ADDRESS", address)
    monkeypatch.setattr("ray.init", lambda **_: pytest.fail("Ray was asked"))
    start = time.monotonic()
    with (
        pytest.raises(UserError, match=f"RAY_ADDRESS: there is no Ray cluster at {address}"),
        ray_cluster.ray_cluster(),
    ):
        pass
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("error", [RuntimeError("no room\nin the store"), OSError("no port"), ValueError("too small")])
def test_a_ray_that_does_not_start_is_one_sentence(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> None:
        raise error

    monkeypatch.setattr("ray.init", fail)
    with pytest.raises(UserError, match=r"^Ray does not start on this machine") as caught, ray_cluster.ray_cluster():
        pass
    assert "\n" not in str(caught.value)
