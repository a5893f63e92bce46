"""Searches as jobs of a real cluster: submitted, left alone, found again, stopped, gone on with, fetched."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import yaml

from ama_ray.miniature import ROOT
from ama_ray.run import StoredRun
from testing.search_process import ENGINE
from tests.support.ray_head import RayHead, ray_head

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.engine

MANY = 300
"""Trials, more than are ever scored here."""
LIMIT = 300.0
RAYS_OWN = re.compile(r"ray::IDLE|ray::RuntimeEnvAgent|ray::DashboardAgent|ray-dashboard-|.*/site-packages/ray/")
"""Processes of the cluster that may have started later than the job that was the first to need them."""


@pytest.fixture(scope="module")
def head() -> Iterator[RayHead]:
    with ray_head() as made:
        yield made


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run file with all it names beside it; `out` outlives the jobs."""
    folder = tmp_path_factory.mktemp("work")
    for name in ("base", "rsf", "data", "reward.py"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, folder / name)
    fields: dict[str, Any] = yaml.safe_load((ROOT / "run.yaml").read_text())
    sums = fields["tax"][1]  # what alignment costs most, so that 40 items show it
    fields["reward"]["prompts"]["items"] = sums["items"] = 40
    changes = {"tax": [sums], "trials": MANY, "sampler": "random", "report": {"points": 2}}
    out = str(tmp_path_factory.mktemp("shared") / "run")
    (folder / "run.yaml").write_text(yaml.safe_dump(fields | changes | {"out": out}))
    return folder / "run.yaml"


@pytest.fixture
def client(head: RayHead, run: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts a command on the client's side, in the folder of the run file."""

    def start(*command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command, cwd=run.parent, env=head.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    return start


@pytest.fixture
def ama_ray(client: Callable[..., subprocess.Popen[str]]) -> Callable[..., str]:
    def command(*arguments: str, code: int = 0) -> str:
        process = client(sys.executable, "-m", "ama_ray.cli", *arguments)
        printed, _ = process.communicate(timeout=LIMIT)
        assert process.returncode == code, printed
        return printed

    return command


def lines_until(process: subprocess.Popen[str], pattern: str) -> str:
    """What a command prints, up to a line that matches."""
    assert process.stdout
    printed = ""
    for line in process.stdout:
        printed += line
        if re.search(pattern, line):
            return printed
    pytest.fail(f"no {pattern} in:\n{printed}")


@contextmanager
def nothing_left(head: RayHead) -> Iterator[Callable[[], None]]:
    """Looks at what a job has made of processes and shared memory when called, and afterwards that it is gone."""
    before = set(head.tree())
    made: set[psutil.Process] = set()
    memory: set[str] = set()

    def look() -> None:
        made.update(set(head.tree()) - before)
        memory.update(shared_memory(made) - shared_memory(before))
        assert any(name in title(each) for each in made for name in ENGINE), [title(each) for each in made]

    yield look
    began = time.monotonic()
    while left := [name for name in map(title, made) if name and not RAYS_OWN.match(name)]:
        assert time.monotonic() - began < 15, left
        time.sleep(0.2)
    assert not [name for name in memory if Path(name).exists()]


def title(process: psutil.Process) -> str:
    """Its command line; empty where it has ended."""
    try:
        return " ".join(process.cmdline()) if process.is_running() else ""
    except psutil.Error:
        return ""


def shared_memory(processes: set[psutil.Process]) -> set[str]:
    found: set[str] = set()
    for process in processes:
        maps = Path(f"/proc/{process.pid}/maps")
        if process.is_running() and maps.exists():
            found.update(re.findall(r"/dev/shm/\S+$", maps.read_text(), re.MULTILINE))
    return found


def test_a_submitted_search_survives_its_client_leaves_nothing_behind_when_stopped_and_goes_on_as_a_plain_job(
    head: RayHead, run: Path, client: Callable[..., subprocess.Popen[str]], ama_ray: Callable[..., str], tmp_path: Path
) -> None:
    out = yaml.safe_load(run.read_text())["out"]
    with nothing_left(head) as look:
        first = client(sys.executable, "-m", "ama_ray.cli", "submit", "run.yaml")
        printed = lines_until(first, r"^trial ")
        job = printed.split()[1]
        first.kill()
        look()
        assert re.search(rf"{job}.*running", ama_ray("status"))
        ama_ray("fetch", job, "-o", str(tmp_path / "early"))
        early = StoredRun.open(tmp_path / "early")
        stopped = ama_ray("stop", job)
        assert "ended by SIGTERM; the same command goes on from here" in stopped
        assert f"{job}: stopped; submitted again, the search goes on with what is in {out}" in stopped
    assert f"{job} has ended already: stopped" in ama_ray("stop", job)
    before = StoredRun.open(out)
    assert 0 < len(early.searched) <= len(before.searched) < MANY
    ama_ray("fetch", job, "-o", str(tmp_path / "stopped"))
    assert StoredRun.open(tmp_path / "stopped").trials == before.trials

    # Another working directory, and so another folder on the cluster.
    (run.parent / "notes.txt").write_text("")
    trials = len(before.searched) + 1
    search = ("ama-ray", "search", "run.yaml", "--trials", str(trials))
    plain = client("ray", "job", "submit", "--working-dir", ".", "--", *search)
    printed, _ = plain.communicate(timeout=LIMIT)
    assert plain.returncode == 0, printed
    assert f"{out}: {len(before.searched)} of {trials} trials are there; going on" in printed
    assert "The front on the report split" in printed
    finished = StoredRun.open(out)
    assert len(finished.searched) == trials
    assert finished.pareto.split == "report"
    (submission,) = re.findall(r"Job '(raysubmit_\w+)' submitted", printed)
    assert "not submitted by ama-ray submit" in ama_ray("fetch", submission, "-o", "copy", code=2)
