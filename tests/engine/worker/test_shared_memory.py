"""Memory that processes share by a name: made once, and gone with the last of them, however it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

import pytest

from ama_ray.engine.worker import shared_memory
from ama_ray.engine.worker.shared_memory import shared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONTENT = b"endpoints" * 10_000
PROGRAM = """
import sys, time
from ama_ray.engine.worker.shared_memory import shared

def write(file):
    half = len(CONTENT) // 2
    file.write(CONTENT[:half]); file.flush()
    print("half", flush=True)
    if "slow" in sys.argv:
        time.sleep(600)
    file.write(CONTENT[half:])

memory, is_mine = shared(sys.argv[1], write)
assert memory[:] == CONTENT
print("made" if is_mine else "found", flush=True)
time.sleep(600)
""".replace("CONTENT", f"(b'endpoints' * {10_000})")


class Process:
    """One that maps the memory and stays."""

    def __init__(self, name: str, *options: str) -> None:
        command = [sys.executable, "-c", PROGRAM, name, *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def said(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


@pytest.fixture
def start(request: pytest.FixtureRequest) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def one(*options: str) -> Process:
        started.append(Process(f"test-{request.node.name}", *options))
        return started[-1]

    yield one
    for process in started:
        with suppress(ProcessLookupError):
            process.kill()


def is_there(name: str) -> bool:
    found = shared_memory._open_elsewhere(name)
    if found is not None:
        os.close(found)
    return found is not None


def test_it_lives_as_long_as_one_process_has_it(start: Callable[..., Process], request: pytest.FixtureRequest) -> None:
    name = f"test-{request.node.name}"
    first = start()
    assert [first.said(), first.said()] == ["half", "made"]
    second = start()
    assert second.said() == "found"
    first.kill()
    third = start()
    assert third.said() == "found"
    second.kill()
    assert is_there(name)
    third.kill()
    assert not is_there(name)
    fourth = start()
    assert [fourth.said(), fourth.said()] == ["half", "made"]


def test_what_was_not_completed_is_made_again(start: Callable[..., Process]) -> None:
    maker = start("slow")
    assert maker.said() == "half"
    waiting = start()
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.process.wait(1)
    maker.kill()
    assert [waiting.said(), waiting.said()] == ["half", "made"]


def test_one_of_several_makes_it(start: Callable[..., Process]) -> None:
    several = [start() for _ in range(4)]
    said = [process.said() for process in several]
    assert sorted(said) == ["found", "found", "found", "half"]


def test_a_failure_leaves_nothing_and_views_keep_it(request: pytest.FixtureRequest) -> None:
    name = f"test-{request.node.name}"

    def fail(file: BinaryIO) -> None:
        file.write(CONTENT)
        raise RuntimeError("no more")

    def write(file: BinaryIO) -> None:
        file.write(CONTENT)

    with pytest.raises(RuntimeError, match="no more"):
        shared(name, fail)
    assert not is_there(name)
    memory, is_mine = shared(name, write)
    assert is_mine
    view = memoryview(memory)
    del memory
    again, is_mine = shared(name, fail)
    assert not is_mine
    again[0:1] = b"X"
    assert view[0] == ord("X")  # the same pages
    del again, view
    assert not is_there(name)
