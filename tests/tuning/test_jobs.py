"""Jobs without a cluster: what is sent, what is refused, the log, the server. With one: `tests/test_jobs.py`."""

from __future__ import annotations

import asyncio
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ama_ray.errors import UserError
from ama_ray.tuning import job_files, job_log, job_server
from ama_ray.tuning.job_files import JobFiles
from ama_ray.tuning.jobs import Jobs
from tests.tuning.job_server import serving
from tests.tuning.test_parcel import write

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "work"
    for name in ("base/model.safetensors", "aligned/config.json", "data/p.jsonl", "data/f.jsonl", "score/reward.py"):
        write(made / name)
    return made


def write_run(folder: Path, name: str = "run.yaml", **changes: Any) -> Path:
    fields: dict[str, Any] = {
        "base": "base",
        "aligned": "aligned",
        "reward": {"kind": "function", "prompts": {"file": "data/p.jsonl"}, "scorer": "score/reward.py:score"},
        "tax": [{"name": "facts", "family": "knowledge", "kind": "choice", "file": "data/f.jsonl"}],
        "out": "/shared/run",
    }
    return write(folder / name, yaml.safe_dump(fields | changes))


def files_of(run: Path, working_dir: Path | None = None, out: str | None = None) -> JobFiles:
    return JobFiles.of(run, working_dir, out=out, trials=None)


def test_what_the_run_file_names_goes_along_and_what_only_lies_there_does_not(folder: Path) -> None:
    for name in (".env", ".git/config", "runs/old/trials.csv", "other/model.safetensors", "venv/pyvenv.cfg"):
        write(folder / name)
    for name in ("venv/lib/module.py", "results/trials.csv", "score/__pycache__/reward.pyc", "notes.txt"):
        write(folder / name)
    out = str(folder / "results")
    files = files_of(write_run(folder, warm_start=["runs/old"], out=out))
    expected = {"run.yaml", "notes.txt", "base/model.safetensors", "aligned/config.json", "runs/old/trials.csv"}
    expected |= {"data/p.jsonl", "data/f.jsonl", "score/reward.py"}
    assert {path.as_posix() for path in files.files()} == expected
    assert (files.run, files.out) == (Path("run.yaml"), out)
    files.pack(folder / "job.zip")
    with zipfile.ZipFile(folder / "job.zip") as archive:
        assert set(archive.namelist()) == expected


def test_a_wider_working_directory_holds_what_lies_beside_the_run_file(folder: Path) -> None:
    run = write_run(
        folder, "runs/../mine/run.yaml", base="../base", aligned="org/model", reward=rewards("../"), tax=[FACTS]
    )
    with pytest.raises(UserError, match=r"base: \.\./base lies outside of the working directory .*--working-dir"):
        files_of(run)
    files = files_of(run, folder)
    assert files.run == Path("mine/run.yaml")
    assert Path("base/model.safetensors") in files.files()
    with pytest.raises(UserError, match=r"--working-dir .*data: .*run.yaml does not lie in there"):
        files_of(run, folder / "data")


FACTS = {"name": "facts", "family": "knowledge", "kind": "choice", "file": "../data/f.jsonl"}


def rewards(up: str) -> dict[str, Any]:
    return {"kind": "function", "prompts": {"file": f"{up}data/p.jsonl"}, "scorer": f"{up}score/reward.py:score"}


def test_absolute_paths_are_the_clusters_and_are_not_sent(folder: Path) -> None:
    run = write_run(folder, base=str(folder / "base"), aligned="/models/aligned", out="~/runs/a")
    assert files_of(run).out == "~/runs/a"
    assert Path("base/model.safetensors") not in files_of(run).files()


@pytest.mark.parametrize(
    ("changes", "out", "sentence"),
    [
        ({"out": "runs/a"}, None, r"out: runs/a would be lost .*--out"),
        ({}, "runs/b", r"out: runs/b would be lost"),
        ({"tax": [FACTS | {"file": "data/none.jsonl"}]}, None, r"tax\.0\.file: there is no data/none\.jsonl"),
        ({"trials": 1}, None, "trials"),
        ({"sampler": "good"}, None, "sampler"),
    ],
)
def test_what_would_fail_on_the_cluster_is_refused_before_anything_is_sent(
    folder: Path, changes: dict[str, Any], out: str | None, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ama_ray.tuning.jobs.connect", lambda address: pytest.fail("asked the cluster"))
    with pytest.raises(UserError, match=sentence):
        Jobs().submit(write_run(folder, **changes), out=out)


def test_more_than_ray_takes_is_refused_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder / "base" / "model.safetensors", "y" * 3_000_000)
    files = files_of(write_run(folder))
    for limit in ("LIMIT", "MOST_TO_COMPRESS"):
        with monkeypatch.context() as patch, pytest.raises(UserError, match=r"base/model\.safetensors with 3 MiB"):
            patch.setattr(job_files, limit, 1000)
            files.pack(folder / "job.zip")


class FakeClient:
    """Takes jobs, and has a log that comes in pieces over connections that break."""

    def __init__(self, *connections: list[str | Exception]) -> None:
        self.submitted: dict[str, Any] = {}
        self.connections = list(connections)

    def submit_job(self, **fields: Any) -> str:
        assert zipfile.is_zipfile(fields["runtime_env"]["working_dir"])
        self.submitted = fields
        return str(fields["submission_id"])

    async def tail_job_logs(self, job: str) -> AsyncIterator[str]:
        for piece in self.connections.pop(0):
            await asyncio.sleep(0)
            if isinstance(piece, Exception):
                raise piece
            yield piece


def test_a_job_is_told_what_to_do_and_nothing_secret(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = FakeClient()
    monkeypatch.setattr("ama_ray.tuning.jobs.connect", lambda address: client)
    for name in ("RAY_AUTH_TOKEN", "OPENAI_API_KEY", "HF_TOKEN"):
        monkeypatch.setenv(name, "very-secret")
    job = Jobs().submit(write_run(folder), out="/shared/my run", trials=5, resume="must")
    assert job.startswith("my-run-")
    assert client.submitted["entrypoint"].endswith(
        " ama-ray search run.yaml --out '/shared/my run' --trials 5 --resume must"
    )
    assert client.submitted["metadata"] == {"run": "run.yaml", "out": "/shared/my run"}
    assert int(client.submitted["runtime_env"]["env_vars"]["RAY_JOB_STOP_WAIT_TIME_S"]) > 60
    assert "very-secret" not in repr(client.submitted)


def test_every_line_comes_once_however_often_the_connection_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_log, "FIRST_WAIT", 0.01)
    client = FakeClient(
        ["Running entrypoint for job a: b\none\n", "tw", RuntimeError("closed unexpectedly")],
        [OSError("refused")],
        ["Running entrypoint for job a: b\none\ntwo\nth"],
        ["Running entrypoint for job a: b\none\ntwo\nthree\n", "four"],
    )
    states = iter([False, ConnectionError("refused"), False, False, True])
    told: list[str] = []

    def has_ended() -> bool:
        state = next(states)
        if isinstance(state, Exception):
            raise state
        return bool(state)

    log: Any = job_log.lines(client, "a", has_ended, told.append)
    assert list(job_log.without_rays_own(log)) == ["one", "two", "three", "four"]
    assert [line.split()[0] for line in told] == ["the", "connected", "the", "connected"]


def test_a_job_server_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_log, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(job_log, "PATIENCE", 0.02)

    def has_ended() -> bool:
        raise ConnectionError("refused")

    with pytest.raises(ConnectionError):
        list(job_log.lines(FakeClient(), "a", has_ended, lambda line: None))


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        ("RUNNING", None, None),
        ("SUCCEEDED", 0, 0),
        ("STOPPED", None, 130),
        ("FAILED", 2, 2),
        ("FAILED", -9, 137),
        ("FAILED", None, 1),
    ],
)
def test_a_job_ends_with_the_exit_code_of_its_search(
    status: str, code: int | None, expected: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    details = SimpleNamespace(status=SimpleNamespace(value=status), driver_exit_code=code, message="why\nnot")
    details.__dict__.update(submission_id="a", start_time=0, metadata={"out": "/o"})
    client = SimpleNamespace(get_job_info=lambda job: details, get_job_logs=lambda job: "x\n\nlast\n\n")
    monkeypatch.setattr("ama_ray.tuning.jobs.connect", lambda address: client)
    job = Jobs().get("a")
    assert (job.exit_code, job.out, job.line) == (expected, "/o", "last")
    assert job.reason == ("why not" if (status, code) == ("FAILED", None) else "")


@pytest.fixture
def no_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))


@pytest.mark.usefixtures("no_token")
def test_a_token_is_sent_where_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("right\n")
    with serving(None) as (address, seen):
        job_server.connect(address)
    assert set(seen) == {None}
    with serving("right") as (address, seen):
        job_server.connect(address)
    assert seen[0] is None
    assert set(seen[1:]) == {"Bearer right"}


@pytest.mark.usefixtures("no_token")
def test_what_is_wrong_with_a_cluster_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with serving("right") as (address, _):
        with pytest.raises(UserError, match=r"asks for a token, and there is none in .*token; put the cluster's there"):
            job_server.connect(address)
        (tmp_path / "token").write_text("wrong")
        with pytest.raises(UserError, match=r"does not take the token of .*token; put the cluster's there"):
            job_server.connect(address)
    with pytest.raises(UserError, match=r"no Ray cluster answers there"):
        job_server.connect(address)
    with pytest.raises(UserError, match=r"127\.0\.0\.1:6379: not the address of Ray's job server"):
        job_server.connect("127.0.0.1:6379")
