"""A server of `ama-ray engine`: what it answers, to whom, and that it is what an engine in process is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest

import ama_ray
from ama_ray.checkpoints.pair import Pair
from ama_ray.config import RunConfig
from ama_ray.engine import remote
from ama_ray.engine.remote import RemoteEngine, ServerError
from ama_ray.engine.requests import Continuations, Generation, NextToken
from ama_ray.engine.server.protocol import CALL, FACTS, LEASE_HEADER
from ama_ray.errors import UserError
from ama_ray.evaluation.evaluation import SPLITS
from ama_ray.evaluation.inputs import Inputs
from ama_ray.miniature import ROOT
from ama_ray.space.search_space import SearchSpace
from ama_ray.tuning.cluster.engine_servers import check_servers
from testing import servers
from tests.support import live_engine
from tests.support.processes import OwnProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ama_ray.config import Split
    from ama_ray.engine.openai_address import OpenAIAddress
    from ama_ray.engine.requests import Request
    from ama_ray.evaluation.evaluation import Answers
    from testing.servers import Server

pytestmark = pytest.mark.engine

KEY = "a-key-for-tests"
ASKED: dict[str, list[Any]] = {
    "generate": [Generation((i, 7, 9), max_tokens=12, temperature=1.0, n=2, seed=8 * i) for i in range(1, 20)],
    "loglikelihoods": [
        *(Continuations((i, 5, 6, 7), ((8, 9, i), (8, 9), (10, 11, 12, 13))) for i in range(1, 20)),
        Continuations((3, 4), ((5,), (6,))),
    ],
    "next_tokens": [NextToken((i, 2 * i)) for i in range(1, 10)],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("server") / "log"
    options = ("--dtype", "float32", "--api-key-env", "TEST_ENGINE_KEY", "--kv-cache-gib", "0.1")
    started = servers.start(ROOT / "base", ROOT / "rsf", log, *options, key=KEY)
    yield started
    started.close()
    assert KEY not in log.read_text()


@pytest.fixture
def engine(server: Server) -> Iterator[RemoteEngine]:
    with closing(RemoteEngine([server.url], KEY)) as leased:
        yield leased


@pytest.fixture(scope="module")
def in_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnProcess]:
    folder = tmp_path_factory.mktemp("pair")
    (folder / "base").symlink_to(ROOT / "base")
    (folder / "aligned").symlink_to(ROOT / "rsf")
    process = OwnProcess()
    process.run(live_engine.start, folder, "per-layer", RunConfig.load(ROOT / "run.yaml").engine, 128)
    yield process
    process.close()


def attach(engine: RemoteEngine) -> tuple[str, ...]:
    pair = Pair.open(str(ROOT / "base"), str(ROOT / "rsf"))
    groups = SearchSpace.load("per-layer").resolve(pair.names)
    engine.attach_pair(pair.numbers(groups))
    return groups.names


def test_it_answers_as_an_engine_in_process(engine: RemoteEngine, in_process: OwnProcess) -> None:
    names = attach(engine)
    for first in (0.0, 0.3, 1.0):
        ratios = {name: (first + 0.11 * index) % 1.1 for index, name in enumerate(names)}
        engine.swap(ratios)
        in_process.run(live_engine.ask, "swap", ratios)
        for method, requests in ASKED.items():
            assert getattr(engine, method)(requests) == in_process.run(live_engine.ask, method, requests)


class Elsewhere:
    """The engine of another process, as far as an evaluation needs it."""

    def __init__(self, process: OwnProcess) -> None:
        self._process = process

    def answer(self, requests: Sequence[Request]) -> list[Any]:
        answers: list[Any] = self._process.run(live_engine.ask, "answer", requests)
        return answers


def test_a_search_has_the_scores_of_an_engine_in_process(
    server: Server, in_process: OwnProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_ENGINE_KEY", KEY)
    engine_fields = {"dtype": "float32", "url": server.url, "api_key_env": "TEST_ENGINE_KEY"}
    config = RunConfig.load(ROOT / "run.yaml", engine=engine_fields, trials=3, report={"points": 1})
    fields = config.model_dump(mode="json", exclude_none=True) | {"out": tmp_path / "run"}
    for each in (*(reward["prompts"] for reward in fields["reward"]), *fields["tax"]):
        each["items"] = 40
    lines: list[str] = []
    run = ama_ray.search(progress=lines.append, **fields)
    # The key is in the environment of both, and nowhere else: no file of the run or of a process, no command line.
    written = [each for each in tmp_path.rglob("*") if each.is_file()] + [server.log]
    assert len(written) > 20
    assert not [each for each in written if KEY.encode() in each.read_bytes()]
    assert not [each for each in lines if KEY in each]
    running = (each.info["cmdline"] or [] for each in psutil.process_iter(["cmdline"]))
    assert not [line for line in running if KEY in " ".join(line)]
    (checked,) = (line for line in lines if line.startswith("deep check passed: "))
    assert "32 of 32 prompts" in checked
    inputs = Inputs.open(run.config)
    engine: Any = Elsewhere(in_process)
    base: dict[Split, Answers] = {}
    for trial in sorted(run.trials, key=lambda each: each.number):
        in_process.run(live_engine.ask, "swap", trial.ratios)
        for split in SPLITS:
            if not trial.seen_on(split).scores:
                continue
            evaluation = inputs.evaluations[split]
            base.setdefault(split, evaluation.ask(engine))
            items = evaluation.measure(evaluation.ask(engine), base[split]).items
            for name, seen in run.items.read(split, trial.number).items():
                assert seen.tolist() == items[name].tolist()


def test_without_the_key_it_says_nothing(server: Server) -> None:
    for key in (None, "another"):
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        with httpx.Client(base_url=server.url, headers=headers) as client:
            for method, path in (("GET", FACTS), ("POST", CALL), ("GET", "/v1/models"), ("POST", "/v1/completions")):
                assert client.request(method, path, json={}).status_code == httpx.codes.UNAUTHORIZED
            assert client.get("/health").status_code == httpx.codes.OK
        with pytest.raises(UserError, match="wants another key"):
            remote.facts(server.url, key)


def test_it_is_an_openai_server(server: Server) -> None:
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {KEY}"}) as client:
        (model,) = client.get("/v1/models").json()["data"]
        asked = {"model": model["id"], "prompt": [1, 2, 3], "max_tokens": 4, "temperature": 0}
        assert client.post("/v1/completions", json=asked).json()["usage"]["completion_tokens"] > 0
        # What a client asks of its prompt is no target of ours.
        (echoed,) = client.post("/v1/completions", json=asked | {"echo": True, "logprobs": 1}).json()["choices"]
        first, *others = echoed["logprobs"]["token_logprobs"]
        assert first is None
        assert len(others) == 2 + 4
        assert max(others) < 0


def test_a_command_finds_the_weights_that_are_live(engine: RemoteEngine) -> None:
    names = attach(engine)
    prompt, asked = (1, 5, 6), {"max_tokens": 12, "temperature": 0}
    replies = []
    for ratio in (0.0, 1.0):
        engine.swap(dict.fromkeys(names, ratio))

        def work(address: OpenAIAddress) -> str:
            assert KEY not in repr(address)
            headers = {"Authorization": f"Bearer {address.key}"}
            body = {"model": address.model, "prompt": list(prompt), **asked}
            answer = httpx.post(f"{address.url}/completions", headers=headers, json=body, timeout=60)
            return str(answer.raise_for_status().json()["choices"][0]["text"])

        replies.append(engine.serve(work, ()))
        ((own,),) = engine.generate([Generation(prompt, max_tokens=12)])
        assert replies[-1] == own.text
    assert len(set(replies)) == 2


def test_one_client_at_a_time(server: Server, engine: RemoteEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "WAIT", 1.0)
    with pytest.raises(ServerError, match="has been free"):
        RemoteEngine([server.url], KEY)
    engine.close()
    monkeypatch.undo()
    with closing(RemoteEngine([server.url], KEY)) as second:
        stale = {"Authorization": f"Bearer {KEY}", LEASE_HEADER: "of-another-time"}
        answer = httpx.post(f"{server.url}{CALL}", headers=stale, json={"method": "swap", "args": [{}]})
        assert answer.status_code == httpx.codes.CONFLICT
        with pytest.raises(RuntimeError, match="cannot be called"):
            second._call("load_checkpoint", "anything")


def test_a_killed_client_leaves_the_server_free(server: Server) -> None:
    code = (
        "import sys, time; from ama_ray.engine.remote import RemoteEngine; "
        "engine = RemoteEngine([sys.argv[1]], sys.argv[2]); print('leased', flush=True); time.sleep(600)"
    )
    client = subprocess.Popen([sys.executable, "-c", code, server.url, KEY], stdout=subprocess.PIPE, env=os.environ)
    assert client.stdout
    assert client.stdout.readline() == b"leased\n"
    client.kill()
    client.wait()
    start = time.monotonic()
    RemoteEngine([server.url], KEY).close()
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"aligned": str(ROOT / "dpo")}, "has another pair"),
        ({"engine": {"dtype": "bfloat16"}}, "computes in float32, and the run in bfloat16"),
        ({"engine": {"api_key_env": None}}, "wants another key"),
        ({"engine": {"api_key_env": "NOT_SET_HERE"}}, "NOT_SET_HERE is not set"),
        ({"engine": {"url": "http://127.0.0.1:9"}}, "no server answers"),
    ],
)
def test_a_server_that_does_not_fit_is_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], words: str
) -> None:
    monkeypatch.setenv("TEST_ENGINE_KEY", KEY)
    engine = {"dtype": "float32", "url": server.url, "api_key_env": "TEST_ENGINE_KEY"} | fields.pop("engine", {})
    inputs = Inputs.open(RunConfig.load(ROOT / "run.yaml", engine=engine, **fields))
    with pytest.raises(UserError, match=words):
        check_servers(inputs, 64)


def test_a_server_with_less_context_is_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_ENGINE_KEY", KEY)
    engine = {"dtype": "float32", "url": server.url, "api_key_env": "TEST_ENGINE_KEY"}
    inputs = Inputs.open(RunConfig.load(ROOT / "run.yaml", engine=engine))
    check_servers(inputs, 64)
    with pytest.raises(UserError, match="takes 128 tokens, and the run needs 1000; start it with --max-model-len 1000"):
        check_servers(inputs, 1000)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--host", "0.0.0.0"), "beyond loopback an engine needs a key"),
        (("--api-key-env", "NOT_SET_HERE"), "NOT_SET_HERE is not set"),
        (("--port", "1", "--host", "192.0.2.1", "--api-key-env", "HOME"), "cannot listen there"),
    ],
)
def test_it_refuses_to_start_in_one_sentence(options: tuple[str, ...], words: str) -> None:
    command = [sys.executable, "-m", "ama_ray.cli", "engine", "--pair", str(ROOT / "base"), str(ROOT / "rsf"), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_two_processes_that_share_the_weights(in_process: OwnProcess, tmp_path: Path) -> None:
    options = ("--dtype", "float32", "--kv-cache-gib", "0.1", "--gpus", "2")
    server = servers.start(ROOT / "base", ROOT / "rsf", tmp_path / "log", *options)
    try:
        of_a_page = httpx.get(server.url + FACTS, headers={"Origin": "http://other.example"})
        assert of_a_page.status_code == httpx.codes.FORBIDDEN
        with closing(RemoteEngine([server.url], None)) as engine:
            names = attach(engine)
            ratios = {name: 0.1 * (index + 1) for index, name in enumerate(names)}
            engine.swap(ratios)
            in_process.run(live_engine.ask, "swap", ratios)
            assert engine.generate(ASKED["generate"]) == in_process.run(live_engine.ask, "generate", ASKED["generate"])
            ours, theirs = (
                engine.loglikelihoods(ASKED["loglikelihoods"]),
                in_process.run(live_engine.ask, "loglikelihoods", ASKED["loglikelihoods"]),
            )
            assert [x for row in ours for x in row] == pytest.approx([x for row in theirs for x in row], abs=1e-4)
        psutil.Process(server.process.pid).children(recursive=True)[-1].kill()
        assert server.process.wait(60) == 2
        assert "vLLM's engine has died" in server.log.read_text()
    finally:
        if server.process.poll() is None:
            server.close()
