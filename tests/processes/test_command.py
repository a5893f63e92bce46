"""Commands of the user: what becomes of them, and that they leave nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from ama_ray.processes import command

if TYPE_CHECKING:
    from pathlib import Path


def run(script: str, folder: Path, timeout: float = 20, **environment: str) -> command.Ran:
    return command.run(["sh", "-c", script], {"PATH": os.environ["PATH"]} | environment, folder, timeout)


def is_running(word: str) -> bool:
    def words(process: psutil.Process) -> list[str]:
        try:
            return list(process.cmdline())
        except psutil.Error:
            return []

    return any(word in words(process) for process in psutil.process_iter())


def test_it_has_its_folder_its_variables_and_nothing_to_read(tmp_path: Path) -> None:
    ran = run('pwd; echo "$MINE"; echo beside >&2; cat; env', tmp_path, MINE="a b")
    first, second, *rest = ran.output.splitlines()
    assert (first, second, ran.errors, ran.failure) == (str(tmp_path), "a b", "beside\n", "")
    assert {line.partition("=")[0] for line in rest} <= {"PATH", "MINE", "PWD", "OLDPWD", "SHLVL", "_"}


@pytest.mark.parametrize(
    ("script", "failure"),
    [
        ("exit 3", "ended with exit code 3"),
        ("kill -9 $$", "was killed (SIGKILL)"),
        ("kill -15 $$", "was killed (SIGTERM)"),
        ("kill $PPID; exit 0", ""),  # the guard takes no signal for its own end that a command could send by mistake
    ],
)
def test_how_it_failed_is_told(script: str, failure: str, tmp_path: Path) -> None:
    told = run(script, tmp_path).failure
    assert told == failure or (not failure and told == "was killed (SIGTERM)")


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    ran = command.run(["no-such-program"], {"PATH": os.environ["PATH"]}, tmp_path, 20)
    assert ran.failure == "ended with exit code 127"
    assert "no-such-program: No such file or directory" in ran.errors


def test_one_that_hangs_ends_with_all_that_it_started(tmp_path: Path) -> None:
    start = time.monotonic()
    ran = run("setsid sleep 601.19 & trap '' TERM; echo begun; sleep 602.19", tmp_path, 1.0)
    assert time.monotonic() - start < 10
    assert ran.failure == "did not end within 1 s"
    assert ran.output == "begun\n"
    assert not is_running("601.19")
    assert not is_running("602.19")


def test_what_it_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    assert run("setsid sleep 603.19 & exit 0", tmp_path).failure == ""
    assert not is_running("603.19")


def test_it_ends_with_its_caller(tmp_path: Path) -> None:
    code = (
        "import os; from pathlib import Path; from ama_ray.processes import command; "
        "command.run(['sleep', '604.19'], dict(os.environ), Path(), 60)"
    )
    caller = subprocess.Popen([sys.executable, "-c", code])
    until = time.monotonic() + 20
    while not is_running("604.19") and time.monotonic() < until:
        time.sleep(0.05)
    assert is_running("604.19")
    caller.kill()
    caller.wait()
    while is_running("604.19") and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_running("604.19")


def test_the_end_of_much_output_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "MOST", 1000)
    ran = run("yes | head -c 3000000; echo last", tmp_path)
    assert len(ran.output) == 1000
    assert ran.output.endswith("y\nlast\n")
