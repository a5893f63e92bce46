"""The copy of a run in a bucket: here a folder, by the same library that reaches the buckets."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest

from ama_ray.errors import UserError
from ama_ray.storage.identity import write_identity
from ama_ray.storage.mirror import Mirror

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    (folder / "items" / "search").mkdir(parents=True)
    (folder / "items" / "search" / "0.npz").write_bytes(b"items")
    (folder / "trials.csv").write_text("number\n0\n")
    write_identity(folder, "mine", {})
    (folder / "run.yaml").write_text("seed: 0\n")
    (folder / "log.txt").write_text("a line\n")
    (folder / ".lock").write_text("process 1")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_pushed_is_what_is_pulled(run: Path, tmp_path: Path) -> None:
    url = f"file://{tmp_path}/bucket/deep/run"
    Mirror(url, run).push()
    (tmp_path / "elsewhere").mkdir()
    assert Mirror(url, tmp_path / "elsewhere").pull()
    assert contents(tmp_path / "elsewhere") == {k: v for k, v in contents(run).items() if k != ".lock"}
    assert not Mirror(url, tmp_path / "elsewhere").pull()


def test_only_what_changed_is_pushed_again(run: Path, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    mirror = Mirror(f"file://{bucket}", run)
    mirror.push()
    (bucket / "run.yaml").write_text("touched")
    (run / "trials.csv").write_text("number\n0\n1\n")
    mirror.push()
    assert (bucket / "run.yaml").read_text() == "touched"
    assert (bucket / "trials.csv").read_text() == "number\n0\n1\n"


def test_the_copy_with_more_trials_counts(run: Path, tmp_path: Path) -> None:
    url = f"file://{tmp_path}/bucket"
    Mirror(url, run).push()
    (run / "trials.csv").write_text("number\n0\n1\n")
    assert not Mirror(url, run).pull()
    (run / "trials.csv").write_text("number\n")
    assert Mirror(url, run).pull()
    assert (run / "trials.csv").read_text() == "number\n0\n"


def test_another_run_is_refused(run: Path, tmp_path: Path) -> None:
    url = f"file://{tmp_path}/bucket"
    Mirror(url, run).push()
    write_identity(run, "another", {})
    with pytest.raises(UserError, match="holds another run than"):
        Mirror(url, run).pull()


def test_an_empty_bucket_has_nothing_to_pull(tmp_path: Path) -> None:
    assert not Mirror(f"file://{tmp_path}/bucket", tmp_path).pull()


class Refusal(BaseHTTPRequestHandler):
    """What a store answers to whoever may not write there."""

    def do_HEAD(self) -> None:
        self.send_error(403)

    def log_message(self, *_: object) -> None:
        pass


def test_a_bucket_that_is_not_ours_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with HTTPServer(("127.0.0.1", 0), Refusal) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            with pytest.raises(UserError, match=r"^mirror: s3://.* cannot be used .*ACCESS_DENIED"):
                Mirror(f"s3://bucket/run?endpoint_override=127.0.0.1:{server.server_port}&scheme=http", tmp_path)
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("url", ["nonsense://bucket/run", "s3://bucket/run?what=1", "file:///proc/no/such"])
def test_an_address_that_cannot_be_used_is_one_sentence(url: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^mirror: .* cannot be used"):
        Mirror(url, tmp_path)
