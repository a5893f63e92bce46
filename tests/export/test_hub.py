"""`--push` against a stand-in for the hub's interface on loopback: the real hub can't be reached from the tests."""

from __future__ import annotations

import base64
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from huggingface_hub import constants

from ama_ray.cli import main
from ama_ray.errors import UserError
from ama_ray.export import check_repo_id
from ama_ray.export.hub import push

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.runs import MakeRun

TOKEN = "hf_" + "secret" * 5


class Hub(ThreadingHTTPServer):
    """Makes models and takes commits.

    Attributes:
        files: What was committed, by path.
        private: By model.
        refuses: Status of every answer, where it is not 0.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.private: dict[str, bool] = {}
        self.refuses = 0


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        model = self.path.removeprefix("/api/models/").partition("?")[0].partition("/revision/")[0]
        known: dict[str, Any] = {
            "id": model,
            "private": self.server.private.get(model),
            "sha": "0" * 40,
            "siblings": [],
        }
        self._answer(known, 200 if model in self.server.private else 404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.server.refuses:
            self._answer({"error": "no"}, self.server.refuses)
        elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._answer({"error": "who are you?"}, 401)
        elif self.path.endswith("/repos/create"):
            asked = json.loads(body)
            model = f"me/{asked['name'].split('/')[-1]}"
            there = model in self.server.private
            self.server.private.setdefault(model, asked.get("private") or asked.get("visibility") == "private")
            self._answer({"url": f"http://{self.headers['Host']}/{model}"}, 409 if there else 200)
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            self._answer(
                {"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]}
            )
        elif "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.server.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            self._answer({"commitUrl": f"http://{self.headers['Host']}/me/merged/commit/1", "commitOid": "1"})
        else:  # the check of a card's front matter
            self._answer({"warnings": [], "errors": []})

    def _answer(self, fields: dict[str, Any], status: int = 200) -> None:
        text = json.dumps(fields).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Hub]:
    """The hub of this process; what it is sent with is printed nowhere."""
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    # huggingface_hub has read its environment when it was imported; a token it looks up each time.
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
    assert TOKEN not in "".join(capfd.readouterr())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What is to be sent, small enough for a commit without large files."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "README.md").write_text("---\nlicense: mit\n---\n# A merge\n")
    (tmp_path / "out" / "model.safetensors").write_bytes(b"weights")
    return tmp_path / "out"


def test_export_sends_all_files(
    hub: Hub,
    make_export_run: MakeRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    arguments = ["export", make_export_run(layers=1), "--point", "3", "-o", tmp_path / "out", "--push", "me/merged"]
    monkeypatch.setattr(sys, "argv", ["ama-ray", *map(str, arguments), "--private"])
    with pytest.raises(SystemExit) as ended:
        main.app()
    shown, problems = capfd.readouterr()
    assert not ended.value.code, problems
    assert TOKEN not in shown + problems
    assert f"http://127.0.0.1:{hub.server_port}/me/merged has it." in shown
    assert hub.files == {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert hub.files.keys() >= {"README.md", "merge.json", "mergekit.yaml", "model.safetensors", "tokenizer.json"}
    assert hub.private == {"me/merged": True}


def refused(folder: Path, name: str = "me/merged", *, private: bool = False) -> str:
    """The sentence with which a push ends, which never holds the token."""
    with pytest.raises(UserError) as raised:
        push(folder, name, private=private)
    assert "\n" not in str(raised.value)
    assert TOKEN not in str(raised.value)
    return str(raised.value)


def test_what_was_to_be_private_is_not_sent_to_a_public_model(hub: Hub, folder: Path) -> None:
    hub.private["me/merged"] = False
    assert "it is there already, and public; nothing was sent" in refused(folder, "merged", private=True)
    assert not hub.files
    assert push(folder, "merged") == f"http://127.0.0.1:{hub.server_port}/me/merged"
    assert hub.files == {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(("token", "status"), [("", 0), ("hf_wrong", 0), (TOKEN, 403), (TOKEN, 500)])
def test_what_the_hub_refuses_is_one_sentence(
    hub: Hub, token: str, status: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    hub.refuses = status
    told = refused(folder)
    assert told.startswith("--push me/merged: the hub did not take it (")
    assert f"{folder} is complete, and `hf upload me/merged {folder}` sends it again" in told
    assert not hub.files


def test_a_hub_that_is_not_there_is_one_sentence(hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert refused(folder).startswith("--push me/merged: the hub did not take it (")


@pytest.mark.parametrize("name", ["me/my/merge", "-merge", "a merge", ""])
def test_a_name_that_can_be_none_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="not a name on the hub"):
        check_repo_id(name)
