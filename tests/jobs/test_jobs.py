"""Jobs without a cluster: what is sent, what is refused, the log. With one: `tests/integration/test_jobs.py`."""

from __future__ import annotations

import asyncio
import json
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ama_ray.cli.main import app
from ama_ray.errors import UserError
from ama_ray.jobs import log, package
from ama_ray.jobs.address import ADDRESS
from ama_ray.jobs.jobs import Jobs
from ama_ray.jobs.package import JobFiles
from tests.support.files import write

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


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
    monkeypatch.setattr("ama_ray.jobs.jobs.connect", lambda address: pytest.fail("asked the cluster"))
    with pytest.raises(UserError, match=sentence):
        Jobs().submit(write_run(folder, **changes), out=out)


def test_more_than_ray_takes_is_refused_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder / "base" / "model.safetensors", "y" * 3_000_000)
    files = files_of(write_run(folder))
    for limit in ("LIMIT", "MOST_TO_COMPRESS"):
        with monkeypatch.context() as patch, pytest.raises(UserError, match=r"base/model\.safetensors with 3 MiB"):
            patch.setattr(package, limit, 1000)
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
    monkeypatch.setattr("ama_ray.jobs.jobs.connect", lambda address: client)
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
    monkeypatch.setattr(log, "FIRST_WAIT", 0.01)
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

    lines: Any = log.lines(client, "a", has_ended, told.append)
    assert list(log.without_rays_own(lines)) == ["one", "two", "three", "four"]
    assert [line.split()[0] for line in told] == ["the", "connected", "the", "connected"]


def test_a_job_server_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(log, "PATIENCE", 0.02)

    def has_ended() -> bool:
        raise ConnectionError("refused")

    with pytest.raises(ConnectionError):
        list(log.lines(FakeClient(), "a", has_ended, lambda line: None))


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
    monkeypatch.setattr("ama_ray.jobs.jobs.connect", lambda address: client)
    job = Jobs().get("a")
    assert (job.exit_code, job.out, job.line) == (expected, "/o", "last")
    assert job.reason == ("why not" if (status, code) == ("FAILED", None) else "")


def test_the_command_leaves_the_job_alone_on_ctrl_c(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def follow(jobs: Jobs, job: str, tell: object) -> Iterator[str]:
        yield "trial 1"
        raise KeyboardInterrupt

    monkeypatch.setattr("ama_ray.jobs.jobs.connect", lambda address: FakeClient())
    monkeypatch.setattr(Jobs, "follow", follow)
    monkeypatch.setattr("sys.argv", ["ama-ray", "submit", str(write_run(folder)), "--address", "http://head:8265"])
    with pytest.raises(SystemExit) as ended:
        app()
    printed = capsys.readouterr()
    assert ended.value.code == 130
    assert printed.out.splitlines()[1:] == ["trial 1"]
    job = printed.out.split()[1]
    assert f"detached; the job goes on; find it again by ama-ray status {job} --address http://head:8265" in printed.err


def test_programs_are_told_of_jobs_in_json(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    details = SimpleNamespace(status=SimpleNamespace(value="RUNNING", is_terminal=lambda: True), message="")
    details.__dict__.update(submission_id="a", start_time=0, driver_exit_code=None, metadata={"out": "/o"})
    client = FakeClient()
    client.__dict__.update(get_job_info=lambda job: details, get_job_logs=lambda job: "a line\n")

    def stop_job(job: str) -> None:
        details.status.value = "STOPPED"

    client.__dict__.update(stop_job=stop_job)
    monkeypatch.setattr("ama_ray.jobs.jobs.connect", lambda address: client)
    monkeypatch.setattr(Jobs, "fetch", lambda jobs, job, out, tell: tell("lost, and found again"))

    def told(*arguments: str) -> Any:
        monkeypatch.setattr("sys.argv", ["ama-ray", *arguments, "--json"])
        with pytest.raises(SystemExit) as ended:
            app()
        assert not ended.value.code
        return json.loads(capsys.readouterr().out)

    run = str(write_run(folder))
    assert told("submit", run, "--detach") == {"id": client.submitted["submission_id"], "address": ADDRESS}
    started = "1970-01-01T00:00:00+00:00"
    job = {"id": "a", "state": "running", "exit_code": None, "started": started, "out": "/o", "reason": ""}
    assert told("status", "a") == {"jobs": [job | {"line": "a line"}]}
    assert told("stop", "a") == job | {"state": "stopped", "exit_code": 130, "line": "a line"}
    assert told("fetch", "a", "-o", "here") == {"folder": "here"}
    monkeypatch.setattr("sys.argv", ["ama-ray", "submit", run, "--json"])
    with pytest.raises(SystemExit) as ended:
        app()
    assert ended.value.code == 2
    assert "--json goes with --detach" in capsys.readouterr().err
