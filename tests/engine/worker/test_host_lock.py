"""Locked memory: each page once, by the first flag that the machine takes, all or nothing, and nothing left behind.

With a stand-in for CUDA's runtime, which is not on every machine.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Any

import pytest
import torch

from ama_ray.engine.worker import host_lock
from ama_ray.engine.worker.host_lock import HostLock

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = mmap.PAGESIZE


class Runtime:
    """Locks what `accepts` says, and keeps an error until it is cleared, as CUDA does."""

    def __init__(self, accepts: Callable[[int, int], bool]) -> None:
        self.accepts = accepts
        self.locked: dict[int, int] = {}
        self.flags: list[int] = []
        self.error = 0

    def cudaHostRegister(self, start: int, size: int, flag: int) -> int:  # noqa: N802
        self.flags.append(flag)
        if not self.accepts(size, flag):
            self.error = 801
            return self.error
        assert not any(low < start + size and start < low + length for low, length in self.locked.items())
        self.locked[start] = size
        return 0

    def cudaHostUnregister(self, start: int) -> int:  # noqa: N802
        del self.locked[start]
        return 0


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Runtime]:
    def of(accepts: Callable[[int, int], bool] = lambda size, flag: True) -> Runtime:
        runtime = Runtime(accepts)
        monkeypatch.setattr(torch.cuda, "cudart", lambda: runtime)
        monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
        monkeypatch.setattr(host_lock, "_forget_error", lambda: setattr(runtime, "error", 0))
        return runtime

    return of


def memory() -> torch.Tensor:
    """Forty pages."""
    whole = torch.zeros(41 * PAGE, dtype=torch.uint8)
    return whole[-whole.data_ptr() % PAGE :][: 40 * PAGE]


def test_a_page_is_locked_once(cuda: Callable[..., Runtime]) -> None:
    pages, runtime = memory(), cuda()
    lock = HostLock.on([pages[8:108], pages[200 : 200 + PAGE], pages[10 * PAGE : 11 * PAGE], pages[:0]])
    assert lock is not None
    start = pages.data_ptr()
    assert runtime.locked == {start: 2 * PAGE, start + 10 * PAGE: PAGE}
    lock.release()
    assert runtime.locked == {}


@pytest.mark.parametrize(("takes", "tried"), [(0, [0]), (8, [0, 8])])
def test_the_first_flag_that_is_taken_will_do(takes: int, tried: list[int], cuda: Callable[..., Runtime]) -> None:
    runtime = cuda(lambda size, flag: flag == takes)
    assert HostLock.on([memory()]) is not None
    assert runtime.flags == tried
    assert runtime.error == 0  # or the next kernel would fail with it


def test_what_cannot_be_locked_is_refused_whole(cuda: Callable[..., Runtime], caplog: pytest.LogCaptureFixture) -> None:
    pages, runtime = memory(), cuda(lambda size, flag: size < 5 * PAGE)
    assert HostLock.on([pages[: 2 * PAGE], pages[10 * PAGE : 20 * PAGE]]) is None
    assert runtime.locked == {}
    assert runtime.error == 0
    assert "slower" in caplog.text


def test_libraries_of_this_process_are_found() -> None:
    found: Any = host_lock._mapped("libtorch_cpu")
    assert len(found) == 1
    assert host_lock._mapped("no such library") == set()
