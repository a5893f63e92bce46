"""A server of `ama-ray serve` for the time of one conversation."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ama_ray.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 20.0
"""Seconds for the server to end by itself."""


@contextmanager
def own_server(run: Path, tell: Callable[[str], None]) -> Iterator[str]:
    """Starts a server of a run's points on a free port of loopback, and ends it with the context.

    Args:
        run: The folder of the run.
        tell: Called with a line of text as it starts.

    Yields:
        Its address.

    Raises:
        UserError: It does not start.
    """
    command = [sys.executable, "-m", "ama_ray.cli", "serve", str(run), "--port", "0"]
    with tempfile.TemporaryDirectory(prefix="ama-ray-chat-") as folder, _ended_by_signals():
        log = Path(folder, "log")
        with log.open("wb") as file:
            # In a session of its own, as Ctrl+C is to end a reply or the conversation, and the server after it.
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
            )
        try:
            yield _address(process, log, tell)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _address(process: subprocess.Popen[bytes], log: Path, tell: Callable[[str], None]) -> str:
    tell("starting a server of this run's points, for this conversation")
    while not (found := re.search(r"^listening on (\S+)", printed := log.read_text(errors="replace"), re.MULTILINE)):
        if process.poll() is not None:
            last = (printed.strip().splitlines() or ["it printed nothing"])[-1]
            raise UserError(f"the server does not start: {last.removeprefix('error: ')}")
        time.sleep(0.1)
    return found.group(1)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Signals that would end this process and leave the server behind end the context instead."""

    def end(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
