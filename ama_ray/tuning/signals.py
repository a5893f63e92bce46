"""`Interrupts`: SIGINT and SIGTERM end a search in good order; a second one ends it at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ama_ray.run import StoredRun

SIGNALS = (signal.SIGINT, signal.SIGTERM)
GRACE = 30.0
"""Seconds for a search to end in good order. Where the signal went to Ray's processes too, it cannot."""


class Interrupted(KeyboardInterrupt):
    """A signal ended the run; what was finished is on disk, and the same command goes on with it.

    Attributes:
        signal: Which.
        run: The run so far; None where the run was ended at once.
    """

    def __init__(self, number: int, run: StoredRun | None = None) -> None:
        """By a signal number."""
        super().__init__(signal.Signals(number).name)
        self.signal = signal.Signals(number)
        self.run = run


class Interrupts:
    """What signals have come, and what to do about them.

    Attributes:
        received: The first signal, once one has come.
        deferred: While trials run, a first signal only asks the search to end; else it raises `Interrupted` at once.
        notice: Called when a first signal has asked that; it runs in the handler, and must not print.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.deferred = False
        self.notice: Callable[[], None] = lambda: None
        self._limit: threading.Timer | None = None

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its stoppers; the listener may hold a terminal and stays in this process.
        return self.__dict__ | {"notice": None, "_limit": None}

    def catch(self) -> None:
        """Has the signals come here; to be called again after `ray.init`, which takes SIGTERM for itself."""
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                signal.signal(number, self.on_signal)

    def on_signal(self, number: int, frame: Any) -> None:
        """Notes the first signal; raises where it need not wait, and at the second."""
        again, self.received = self.received is not None, self.received or number
        if again or not self.deferred:
            raise Interrupted(number)
        self._limit = threading.Timer(GRACE, self._give_up)
        self._limit.daemon = True
        self._limit.start()
        self.notice()

    def _give_up(self) -> None:
        """Ends the process: what was finished is on disk."""
        assert self.received is not None
        print(f"ended by {signal.Signals(self.received).name}; the same command goes on from here", file=sys.stderr)
        os._exit(128 + self.received)

    def close(self) -> None:
        """Nothing is waited for any more."""
        if self._limit is not None:
            self._limit.cancel()

    def check(self, run: StoredRun | None = None) -> None:
        """Raises `Interrupted`, with the run so far, if a signal came."""
        if self.received is not None:
            raise Interrupted(self.received, run)


@contextmanager
def interrupts() -> Iterator[Interrupts]:
    """Catches the signals while active, in the main thread; elsewhere Python leaves them to whoever owns that."""
    caught = Interrupts()
    before = {number: signal.getsignal(number) for number in SIGNALS}
    caught.catch()
    try:
        yield caught
    except Interrupted:
        raise
    except KeyboardInterrupt:
        caught.check()  # while it waits, Ray makes a plain one of what a handler raises
        raise
    finally:
        caught.close()
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)
