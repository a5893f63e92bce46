from __future__ import annotations

import errno
import signal
import threading

import pytest

from ama_ray.errors import UserError
from ama_ray.storage.retry import retry_write
from ama_ray.tuning.signals import Interrupted, interrupts


def full(times: int) -> tuple[list[str], object]:
    calls: list[str] = []

    def write() -> str:
        calls.append("call")
        if len(calls) <= times:
            raise OSError(errno.ENOSPC, "No space left on device")
        return "written"

    return calls, write


def test_a_full_disk_is_waited_for_with_growing_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    lines: list[str] = []
    _, write = full(9)
    assert retry_write(write, "trials.csv", lines.append) == "written"  # type: ignore[arg-type]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert (
        lines[0] == "trials.csv: cannot be written (OSError: [Errno 28] No space left on device); trying again in 1 s"
    )


def test_what_stays_broken_ends_the_run_with_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ama_ray.storage.retry.PATIENCE", 0.0)
    _, write = full(9)
    with pytest.raises(UserError, match=r"^trials.csv: cannot be written .*; the same command goes on from here\.$"):
        retry_write(write, "trials.csv", lambda line: None)  # type: ignore[arg-type]


def test_other_errors_are_not_waited_for() -> None:
    with pytest.raises(ZeroDivisionError):
        retry_write(lambda: 1 / 0, "trials.csv", lambda line: None)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_first_signal_waits_where_it_can_and_a_second_does_not(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with interrupts() as caught:
        caught.deferred = True
        signal.raise_signal(number)
        assert caught.received == number
        with pytest.raises(Interrupted) as raised:
            signal.raise_signal(number)
        assert raised.value.signal == number
        with pytest.raises(Interrupted):
            caught.check()
    assert signal.getsignal(number) is before


def test_a_signal_before_the_trials_ends_the_run_at_once() -> None:
    with interrupts() as caught, pytest.raises(KeyboardInterrupt):
        caught.check()
        signal.raise_signal(signal.SIGTERM)


def test_other_threads_leave_signals_alone() -> None:
    handlers = []

    def look() -> None:
        with interrupts():
            handlers.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert handlers == [before]
