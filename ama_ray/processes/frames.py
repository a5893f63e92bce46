"""Values as JSON over a socket, each after its length: nothing that comes in is ever unpickled."""

from __future__ import annotations

import json
import math
import struct
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket

_LENGTH = struct.Struct(">Q")
_PART = 2**20


def send(channel: socket.socket, value: Any) -> None:
    """Sends a value.

    Raises:
        TimeoutError: It was not taken within the channel's timeout.
        OSError: Nobody takes it.
    """
    body = json.dumps(value).encode()
    channel.sendall(_LENGTH.pack(len(body)) + body)


def receive(channel: socket.socket, until: float = math.inf) -> Any:
    """Waits for a value.

    Args:
        channel: A connected socket.
        until: When to give up, on the clock of `time.monotonic`.

    Raises:
        TimeoutError: There was none in time.
        EOFError: The other end is closed.
    """
    (length,) = _LENGTH.unpack(_exactly(channel, _LENGTH.size, until))
    return json.loads(_exactly(channel, length, until))


def _exactly(channel: socket.socket, length: int, until: float) -> bytes:
    taken = bytearray()
    while len(taken) < length:
        channel.settimeout(None if until == math.inf else max(until - time.monotonic(), 0.001))
        part = channel.recv(min(length - len(taken), _PART))
        if not part:
            raise EOFError
        taken += part
    return bytes(taken)
