"""The other end of `command.run`: a guard that starts the command, and ends it with all that it has started."""

from __future__ import annotations

import ctypes
import os
import socket
import sys

from ama_ray.processes.frames import receive
from ama_ray.processes.worker_main import SUBREAPER, guard

NOT_STARTED = 127
"""The exit code of a command that there is not, as shells have it."""


def main() -> None:
    """Starts the command that comes in by the socket whose number is the first argument."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.set_inheritable(False)
    ctypes.CDLL(None).prctl(SUBREAPER, 1)
    command, environment, folder = receive(channel)
    process = os.fork()
    if process:
        os.close(1)  # whoever reads them waits for the command alone
        os.close(2)
        os._exit(guard(process, channel))
    try:
        os.chdir(folder)
        os.execvpe(command[0], command, environment)
    except OSError as error:
        print(f"{folder}: {command[0]}: {error.strerror}", file=sys.stderr, flush=True)
        os._exit(NOT_STARTED)


if __name__ == "__main__":
    main()
