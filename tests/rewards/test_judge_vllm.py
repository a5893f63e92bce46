"""The judge against a real vLLM server: a random model whose words are numbers, so that whatever it says is a mark."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partialmethod
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from ama_ray.errors import UserError
from ama_ray.rewards.base import PreparedReward
from ama_ray.rewards.judge_dialect import Dialect
from testing.checkpoints import make_pair
from tests.support.classifiers import save_tokenizer
from tests.support.replies import said
from tests.support.rewards import prepare

pytestmark = pytest.mark.engine

NUMBERS = [f"{1 + i / 296:.4f}" for i in range(296)]
VOCABULARY = {"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3} | {number: i for i, number in enumerate(NUMBERS, start=4)}
CHAT = "<s> {% for message in messages %}{{ message['content'] }} {% endfor %}"
SECONDS = 300
"""That the server may take to start."""

ROWS = [{"prompt": NUMBERS[20 * i], "reference": NUMBERS[7 * i + 3]} for i in range(6)]
REPLIES = [[NUMBERS[3 * i + 1], NUMBERS[11 * i + 5]] for i in range(6)]


@dataclass
class Server:
    url: str
    folder: Path

    def judge(self, **fields: Any) -> dict[str, Any]:
        template = "{prompt} {reply} {low} {high}"
        return {"url": self.url, "model": "numbers", "max_tokens": 1, "template": template} | fields

    def says(self, question: str) -> float:
        """The first word of a greedy answer, by plain transformers."""
        tokenizer = transformers.AutoTokenizer.from_pretrained(self.folder)
        model = transformers.AutoModelForCausalLM.from_pretrained(self.folder, dtype=torch.float32).eval()
        tokens = tokenizer(f"<s> {question} ", add_special_tokens=False, return_tensors="pt")
        with torch.no_grad():
            return float(tokenizer.decode(model(**tokens).logits[0, -1].argmax()))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder, _ = make_pair(tmp_path_factory.mktemp("judge"))
    save_tokenizer(folder, CHAT, VOCABULARY)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder), "--port", port]
    command += ["--host", "127.0.0.1", "--served-model-name", "numbers", "--dtype", "float32", "--enforce-eager"]
    command += ["--kv-cache-memory-bytes", str(2**26), "--api-key", "the-key"]
    environment = os.environ | {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_NO_USAGE_STATS": "1"}
    log = folder.with_name("server.log")
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        for _ in range(SECONDS):
            assert process.poll() is None, log.read_text()[-3000:]
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health")
                break
            except OSError:
                time.sleep(1)
        yield Server(f"http://127.0.0.1:{port}/v1", folder)
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(autouse=True)
def key_and_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", "the-key")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # This model's vocabulary has no signs to write JSON with.
    monkeypatch.setattr(Dialect, "__init__", partialmethod(Dialect.__init__, form="text"))


def read(tmp_path: Path, judge: dict[str, Any], kind: str = "judge") -> PreparedReward:
    judge = {"api_key_env": "JUDGE_KEY"} | judge
    return prepare(tmp_path, rows=ROWS, kind=kind, judge=judge, sampling={"n": 2})[0]


def test_marks_are_those_that_the_model_gives(tmp_path: Path, server: Server) -> None:
    reward = read(tmp_path, server.judge())
    scored = reward.score(said(REPLIES))
    expected = [
        [server.says(f"{row['prompt']} {reply} 1 10") for reply in replies]
        for row, replies in zip(ROWS, REPLIES, strict=True)
    ]
    assert len({mark for marks in expected for mark in marks}) > 3
    assert scored.scores.tolist() == expected
    # <s> and the four words of a question, and one of an answer, which is the mark.
    assert scored.tokens["prompt"] == 12 * 5
    assert scored.tokens["completion"] == 12
    again = reward.score(said(REPLIES))
    assert again.scores.tolist() == expected
    assert again.tokens == {"prompt": 0, "completion": 0}


def test_pairs_are_judged_in_both_orders(tmp_path: Path, server: Server) -> None:
    reward = read(tmp_path, server.judge(template="{prompt} {first} {second}"), kind="pairwise")
    expected = [
        [
            (
                (2 - server.says(f"{row['prompt']} {reply} {row['reference']}"))
                + (server.says(f"{row['prompt']} {row['reference']} {reply}") - 1)
            )
            / 2
            for reply in replies
        ]
        for row, replies in zip(ROWS, REPLIES, strict=True)
    ]
    scored = reward.score(said(REPLIES))
    assert scored.scores.tolist() == [pytest.approx(each) for each in expected]
    assert ((scored.scores >= 0) & (scored.scores <= 1)).all()


def test_the_default_rubrics_fit_the_server(tmp_path: Path, server: Server) -> None:
    for kind in ("judge", "pairwise"):
        reward = read(tmp_path, server.judge(template=None, max_tokens=1), kind=kind)
        assert reward.score(said(REPLIES)).tokens["prompt"] > 500


def test_a_wrong_name_and_a_wrong_key_are_named_before_anything_starts(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"the server has no such model; it has numbers"):
        read(tmp_path, server.judge(model="letters"))
    monkeypatch.setenv("JUDGE_KEY", "another-key")
    with pytest.raises(UserError, match=r"answered with status 401") as caught:
        read(tmp_path, server.judge())
    assert "another-key" not in str(caught.value)


def test_a_question_that_the_server_refuses_is_shown(tmp_path: Path, server: Server) -> None:
    with pytest.raises(UserError, match=r"the judge numbers at .* answered with status 400 \(.*128"):
        read(tmp_path, server.judge(template="{prompt} {reply} " + "1 " * 200))
