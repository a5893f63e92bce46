"""The other end of `worker.call`: two processes, of which one calls the function and the other guards it.

The guard has nothing to do with the function. It ends when the function's process or the caller does, however that
comes about, and takes along all that the function has started, in other sessions too.
"""

from __future__ import annotations

import base64
import ctypes
import os
import select
import signal
import socket
import sys
import time
import types
from contextlib import suppress
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from ama_ray.processes.frames import receive, send

if TYPE_CHECKING:
    from collections.abc import Callable

KILLED = 128
"""What is added to the number of a signal to make an exit code of it, as shells do."""
SUBREAPER = 36
"""`PR_SET_CHILD_SUBREAPER`: processes whose parent has ended become children of this one."""
_SECONDS = 5.0
"""For which the guard tries to end processes that come faster than it ends them."""


class _NoNumbersError(Exception):
    """What a function is or returned is not what it should be; says how, in words that go on after its name."""


def main() -> None:
    """Serves the socket whose number is the first argument."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.set_inheritable(False)
    ctypes.CDLL(None).prctl(SUBREAPER, 1)
    worker = os.fork()
    if worker:
        os._exit(guard(worker, channel))
    _serve(channel)


def guard(worker: int, channel: socket.socket) -> int:
    """Waits until the worker or its caller has ended, and then ends the rest.

    Returns:
        The exit code of the worker.
    """
    poll = select.poll()
    poll.register(os.pidfd_open(worker), select.POLLIN)
    poll.register(channel, select.POLLRDHUP)
    poll.poll()
    ended, status = os.waitpid(worker, os.WNOHANG)
    end_children()
    if not ended:
        return KILLED + signal.SIGKILL
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else KILLED - code


def end_children() -> None:
    """Ends all processes below this one."""
    import psutil

    until = time.monotonic() + _SECONDS
    while (children := psutil.Process().children(recursive=True)) and time.monotonic() < until:
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.01)


def _serve(channel: socket.socket) -> None:
    us = os.getpid()
    function: Callable[..., Any] | None = None
    while True:
        try:
            request = receive(channel)
        except EOFError:
            return
        answer: dict[str, Any] = {"numbers": []}
        try:
            if function is None:  # the first request names it
                function = _load(*request)
            else:
                answer["numbers"] = _numbers(function(*request))
        except BaseException as error:
            answer = {"error": _told(error)}
        if os.getpid() != us:
            os._exit(0)  # a child that the function forked, which ran on to here
        send(channel, answer)


def _load(address: str, source: str | None, adapted_by: str | None) -> Callable[..., Any]:
    """Imports a function.

    Raises:
        _NoNumbersError: Importing it fails, or there is no such function.
    """
    if source is None:
        function: Callable[..., Any] = resolve_name(address)
        return function
    file, _, name = address.rpartition(":")
    found = _unpickled(source) if file.endswith(".pickle") else _run(file, source, name)
    if isinstance(found, type):
        found = found()  # once: what its constructor loads, it keeps
    return resolve_name(adapted_by)(found) if adapted_by else found  # type: ignore[no-any-return]


def _unpickled(source: str) -> Any:
    import cloudpickle

    try:
        return cloudpickle.loads(base64.b64decode(source))
    except BaseException as error:
        raise _NoNumbersError(f"cannot be unpickled: its file {_told(error)}") from error


def _run(file: str, source: str, name: str) -> Any:
    # As a plain script: what lies beside the file can be imported, and so can the file.
    sys.argv = [file]
    sys.path.insert(0, str(Path(file).parent))
    stem = Path(file).stem
    module = types.ModuleType(stem if stem not in sys.modules else f"scorer_{stem}")
    module.__file__ = file
    sys.modules[module.__name__] = module
    try:
        exec(compile(source, file, "exec"), module.__dict__)
    except BaseException as error:
        raise _NoNumbersError(f"cannot be imported: its file {_told(error)}") from error
    found = getattr(module, name, None)
    if not callable(found):
        raise _NoNumbersError(f"is not there: the file has no function {name!r}")
    return found


def _numbers(value: Any) -> list[float]:
    try:
        return [float(number) for number in value]
    except (TypeError, ValueError):
        raise _NoNumbersError(f"must return a list of numbers, not {value!r:.80}") from None


def _told(error: BaseException) -> str:
    if isinstance(error, _NoNumbersError):
        return str(error)
    if isinstance(error, SystemExit):
        return f"called sys.exit({error.code!r:.80})"
    return f"raised {type(error).__name__}: {' '.join(str(error).split()):.300}"


if __name__ == "__main__":
    main()
