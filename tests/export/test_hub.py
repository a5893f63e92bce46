"""`--push` against a stand-in for the hub's interface on loopback: the real hub can't be reached from the tests."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from ama_ray.errors import UserError
from ama_ray.export import check_repo_id

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
def hub() -> Iterator[Hub]:
    server = Hub()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What is to be sent, small enough for a commit without large files."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "README.md").write_text("---\nlicense: mit\n---\n# A merge\n")
    (tmp_path / "out" / "model.safetensors").write_bytes(b"weights")
    return tmp_path / "out"


CODE = """
import sys
from pathlib import Path
from ama_ray.errors import UserError
from ama_ray.export import push
try:
    print(push(Path(sys.argv[1]), sys.argv[2], private=sys.argv[3:] == ["--private"]))
except UserError as error:
    sys.exit(f"error: {error}")
"""


def start(hub: Hub, *command: object, home: Path, token: str = TOKEN) -> subprocess.CompletedProcess[str]:
    # A process of its own, as huggingface_hub reads its environment when it is imported.
    place = {"HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}", "HF_HUB_OFFLINE": "0", "HF_HOME": str(home)}
    ended = subprocess.run(
        [sys.executable, *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | place | ({"HF_TOKEN": token} if token else {}),
    )
    assert TOKEN not in ended.stdout + ended.stderr
    return ended


def test_export_sends_all_files(hub: Hub, make_export_run: MakeRun, tmp_path: Path) -> None:
    arguments = ["export", make_export_run(layers=1), "--point", "3", "-o", tmp_path / "out", "--push", "me/merged"]
    ended = start(hub, "-m", "ama_ray.cli", *arguments, "--private", home=tmp_path / "hf")
    assert ended.returncode == 0, ended.stderr
    assert f"http://127.0.0.1:{hub.server_port}/me/merged has it." in ended.stdout
    assert hub.files == {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert hub.files.keys() >= {"README.md", "merge.json", "mergekit.yaml", "model.safetensors", "tokenizer.json"}
    assert hub.private == {"me/merged": True}


def test_what_was_to_be_private_is_not_sent_to_a_public_model(hub: Hub, folder: Path, tmp_path: Path) -> None:
    hub.private["me/merged"] = False
    ended = start(hub, "-c", CODE, folder, "merged", "--private", home=tmp_path / "hf")
    assert ended.returncode == 1
    assert "it is there already, and public; nothing was sent" in ended.stderr
    assert not hub.files
    sent = start(hub, "-c", CODE, folder, "merged", home=tmp_path / "hf")
    assert sent.returncode == 0, sent.stderr
    assert hub.files == {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(("token", "status"), [("", 0), ("hf_wrong", 0), (TOKEN, 403), (TOKEN, 500)])
def test_what_the_hub_refuses_is_one_sentence(hub: Hub, token: str, status: int, folder: Path, tmp_path: Path) -> None:
    hub.refuses = status
    ended = start(hub, "-c", CODE, folder, "me/merged", home=tmp_path / "hf", token=token)
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: --push me/merged: the hub did not take it (")
    assert ended.stderr.count("\n") == 1
    assert f"{folder} is complete, and `hf upload me/merged {folder}` sends it again" in ended.stderr
    assert not hub.files


def test_a_hub_that_is_not_there_is_one_sentence(hub: Hub, folder: Path, tmp_path: Path) -> None:
    hub.shutdown()
    hub.server_close()
    ended = start(hub, "-c", CODE, folder, "me/merged", home=tmp_path / "hf")
    assert ended.stderr.startswith("error: --push me/merged: the hub did not take it (")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["me/my/merge", "-merge", "a merge", ""])
def test_a_name_that_can_be_none_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="not a name on the hub"):
        check_repo_id(name)
