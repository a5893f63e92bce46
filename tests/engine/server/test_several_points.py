"""`ama-ray serve` and `ama-ray chat` on a run with several aligned models: every point answers as its export does."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from ama_ray.api import Run
from ama_ray.miniature import ROOT
from testing import servers
from testing.made_up_run import ask, by_transformers, make_several_run, requests

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testing.servers import Server

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]
POINTS = ("knee", "aligned", "rsf", "dpo", "soup-rsf+dpo", "uniform-0.5")
LAMP = "hi , can you help me with my old lamp ?"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("several") / "run"
    return make_several_run(folder, [ROOT / name for name in ("rsf", "dpo", "rloo")])


@pytest.fixture(scope="module")
def server(run: Path) -> Iterator[Server]:
    started = servers.launch(["serve", str(run), "--port", "0"], run / "log")
    yield started
    started.close()


def test_every_point_answers_as_its_export_does(server: Server, run: Path, tmp_path: Path) -> None:
    listed = [model["id"] for model in httpx.get(f"{server.url}/v1/models", trust_env=False).json()["data"]]
    assert {*POINTS, "base", "rloo", "trial-6"} <= {*listed}
    asked = requests(POINTS, 30)
    answers = asyncio.run(ask(server.url, asked, 30))
    said = {}
    for name in POINTS:
        prompts = sorted({each.prompt for each in asked if each.name == name})
        exported = by_transformers(Run.open(run).export(name, tmp_path / name), prompts)
        alone = dict(zip(prompts, exported, strict=True))
        of_point = [(answer, each.prompt) for answer, each in zip(answers, asked, strict=True) if each.name == name]
        assert len(of_point) == 5
        for answer, prompt in of_point:
            assert (answer.text, answer.names) == (alone[prompt], frozenset({name}))
        said[name] = tuple(exported)
    assert len({*said.values()}) >= len(POINTS) - 1  # two merges may answer these few prompts alike


def test_a_conversation_goes_from_soup_to_model(server: Server, run: Path) -> None:
    names = ("soup-rsf+dpo", "dpo")
    lines = f"{LAMP}\n/point {names[1]}\n/new\n{LAMP}\n/point dp\n/quit\n"
    options = ("--url", server.url, "--point", names[0], "--temperature", "0", "--max-tokens", "28")
    command = [sys.executable, "-m", "ama_ray.cli", "chat", str(run), *options]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    shown = done.stdout.splitlines()
    body = {"prompt": f"user : {LAMP} reply :", "max_tokens": 28, "temperature": 0}
    replies = []
    for name in names:
        answer = httpx.post(f"{server.url}/v1/completions", json=body | {"model": name}, timeout=120, trust_env=False)
        replies.append(json.loads(answer.text)["choices"][0]["text"].strip())
    assert shown[0].startswith(f"talking to {names[0]}")
    assert all(reply in shown for reply in replies)
    assert f"now talking to {names[1]}" in shown
