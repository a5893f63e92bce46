"""A server of `ama-ray serve`, and a conversation with it: every answer is that of the point asked for."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from ama_ray.api import Run
from ama_ray.miniature import ROOT
from ama_ray.storage.records import read_trials, write_trials
from testing import servers
from testing.made_up_run import POINTS, Asked, ask, by_transformers, make_run, requests

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testing.servers import Server

pytestmark = pytest.mark.engine

KEY = "a-key-for-tests"
HEADERS = {"Authorization": f"Bearer {KEY}"}
# The miniature has no chat template; with this one a message becomes one of its reward prompts.
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %} {{ 'reply' if m.role == 'assistant' else 'user' }} : {{ m.content }}"
    "{% endfor %} reply :"
)
LAMP = "hi , can you help me with my old lamp ?"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("points")
    for name in ("base", "rsf"):
        shutil.copytree(ROOT / name, folder / name)
        config = folder / name / "tokenizer_config.json"
        config.write_text(json.dumps(json.loads(config.read_text()) | {"chat_template": TEMPLATE}))
    return make_run(folder / "run", base=str(folder / "base"), aligned=str(folder / "rsf"))


@pytest.fixture(scope="module")
def server(run: Path) -> Iterator[Server]:
    log = run / "log"
    started = servers.launch(["serve", str(run), "--port", "0", "--api-key-env", "TEST_ENGINE_KEY"], log, KEY)
    yield started
    started.close()
    # One line per switch, and what they took in the end.
    assert re.search(r"^(\d+) switches, median [0-9.]+ ms, worst [0-9.]+ ms$", log.read_text(), re.MULTILINE)
    assert KEY not in log.read_text()


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers=HEADERS, timeout=120) as client:
        yield client


async def leave(url: str, names: tuple[str, ...]) -> None:
    """Clients that ask and go, some while they wait, some while they are answered."""
    async with httpx.AsyncClient(base_url=url, headers=HEADERS, timeout=600) as client:
        for number in range(20):
            body = {"model": names[number % len(names)], "prompt": f"user : {LAMP} reply :", "ignore_eos": True}
            sent = client.post("/v1/completions", json=body | {"max_tokens": 100, "stream": number % 2 == 0})
            with suppress(TimeoutError):
                await asyncio.wait_for(sent, 0.02 * number)


def test_each_of_200_mixed_requests_is_answered_by_its_point(server: Server, run: Path, tmp_path: Path) -> None:
    asked = requests(POINTS, 200)

    async def play() -> list[tuple[str, frozenset[str]]]:
        answers, _ = await asyncio.gather(ask(server.url, asked, 200, KEY), leave(server.url, POINTS))
        return [(answer.text, answer.names) for answer in answers]

    answers = asyncio.run(play())
    said: dict[str, list[str]] = {}
    for name in POINTS:
        prompts = sorted({each.prompt for each in asked if each.name == name})
        said[name] = by_transformers(Run.open(run).export(name, tmp_path / name), prompts)
        alone = dict(zip(prompts, said[name], strict=True))
        of_point = [(answer, each) for answer, each in zip(answers, asked, strict=True) if each.name == name]
        assert len(of_point) == 40
        for (text, names), each in of_point:
            assert (text, names) == (alone[each.prompt], frozenset({name}))
    # Else they would show nothing.
    assert len(set(map(tuple, said.values()))) == len(POINTS)


def test_it_lists_its_points_and_refuses_others(client: httpx.Client) -> None:
    listed = [model["id"] for model in client.get("/v1/models").json()["data"]]
    assert listed[:3] == ["knee", "base", "aligned"]
    assert {*POINTS, "trial-3", "uniform-0", "uniform-1"} <= set(listed)
    answer = client.post("/v1/chat/completions", json={"model": "trial-2", "messages": []})
    assert answer.status_code == httpx.codes.NOT_FOUND
    assert "name one of knee, base" in answer.json()["error"]["message"]
    for path in ("/pause", "/v1/load_lora_adapter", "/ama_ray/call"):
        assert client.post(path, json={"model": "knee"}).status_code == httpx.codes.NOT_FOUND
    assert client.post("/v1/completions", headers={"Authorization": "Bearer no"}).status_code == 401


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/messages"])
def test_an_answer_names_its_point(client: httpx.Client, path: str) -> None:
    said = "input" if path == "/v1/responses" else "messages"
    for name in ("base", "trial-3"):
        body = {"model": name, said: [{"role": "user", "content": LAMP}], "max_tokens": 8, "temperature": 0}
        answer = client.post(path, json=body)
        assert answer.is_success, answer.text
        assert answer.json()["model"] == name


def chatted(run: Path, lines: str, *options: str, key: str = "") -> list[str]:
    command = [sys.executable, "-m", "ama_ray.cli", "chat", str(run), "--temperature", "0", *options]
    environment = os.environ | {"TEST_ENGINE_KEY": key}
    done = subprocess.run(
        command, input=lines, capture_output=True, text=True, check=False, timeout=300, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_conversation_moves_the_dial(server: Server, run: Path) -> None:
    lines = f"{LAMP}\n/point base\n/new\n{LAMP}\nthank you .\n/point aligned\n/new\n{LAMP}\n/quit\n"
    shown = chatted(run, lines, "--url", server.url, "--api-key-env", "TEST_ENGINE_KEY", key=KEY)
    names = ("knee", "base", "aligned")
    alone = asyncio.run(ask(server.url, [Asked(name, f"user : {LAMP} reply :", False) for name in names], 3, KEY))
    knee, base, aligned = (answer.text.strip() for answer in alone)
    assert len({knee, base, aligned}) == 3
    forgotten = "what was said is forgotten"
    assert shown[0].startswith("talking to knee")
    assert shown[1:5] == [knee, "now talking to base", forgotten, base]
    assert shown[6:] == ["now talking to aligned", forgotten, aligned]


def test_a_conversation_starts_and_ends_a_server_of_its_own(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    shown = chatted(run, f"{LAMP}\n/point base\n{LAMP}\n")
    assert shown[0] == "starting a server of this run's points, for this conversation"
    assert "'user : ... reply :'" in shown[2]
    assert "help" in shown[3]
    assert shown[4] == "now talking to base"
    assert not [each for each in psutil.process_iter(["cmdline"]) if str(run) in (each.info["cmdline"] or [])]


def test_a_run_of_another_space_is_refused_before_vllm_starts(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    trials = read_trials(run / "trials.csv")
    tails = [{group.replace("head", "tail"): ratio for group, ratio in trial.ratios.items()} for trial in trials]
    write_trials(run / "trials.csv", [replace(trial, ratios=tail) for trial, tail in zip(trials, tails, strict=True)])
    command = [sys.executable, "-m", "ama_ray.cli", "serve", str(run), "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert "starting vLLM" not in done.stdout
    assert "the groups of knee are not those" in done.stderr
