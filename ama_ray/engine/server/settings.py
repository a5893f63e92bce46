"""Where a server listens, and that it listens beyond loopback with a key only."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ama_ray.engine.server.clients import is_loopback
from ama_ray.errors import UserError

if TYPE_CHECKING:
    from ama_ray.config import EngineSettings


@dataclass(frozen=True)
class ServerSettings:
    """Where a server listens and what it starts.

    Attributes:
        engine: Precision and resources; `dtype` may be `auto`.
        max_model_len: Tokens of context, or as many as the model takes where that is less.
        host: To listen on.
        port: To listen on; 0 is any that is free.
        key: What clients must show; None is for loopback only.
    """

    engine: EngineSettings
    max_model_len: int = 2048
    host: str = "127.0.0.1"
    port: int = 8100
    key: str | None = None

    def listen(self) -> socket.socket:
        """Takes the address; nothing is accepted yet.

        Raises:
            UserError: It is taken, or open to others without a key.
        """
        if self.key is None and not is_loopback(self.host):
            raise UserError(
                f"--host {self.host}: beyond loopback an engine needs a key; name the environment variable that holds "
                "it with --api-key-env."
            )
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # A client whose machine vanished, or that reads nothing of what waits, is noticed within a minute.
        for level, option, value in (
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
            (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
            (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
            (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000),
        ):
            listening.setsockopt(level, option, value)
        try:
            listening.bind((self.host, self.port))
        except OSError as error:
            listening.close()
            raise UserError(f"--host {self.host} --port {self.port}: cannot listen there ({error.strerror}).") from None
        return listening
