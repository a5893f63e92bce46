"""A real PostgreSQL server that can be stopped and started; it listens on a Unix socket only."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


class Postgres:
    """A server of its own, in the binaries that the package `pgserver` brings along."""

    def __init__(self, folder: Path) -> None:
        """Makes a new database in a folder and starts the server."""
        import pgserver

        self._commands: Any = pgserver
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._server: Any = pgserver.get_server(folder)
        self.url: str = self._server.get_uri()

    def __enter__(self) -> Postgres:
        """The running server."""
        return self

    def stop(self) -> None:
        """Ends all connections and the server."""
        self._commands.pg_ctl(
            ["-w", "-m", "fast", "stop"], pgdata=self._server.pgdata, user=self._server.system_user, timeout=60
        )

    def start(self) -> None:
        """Starts it again, on the same data."""
        self._server.ensure_postgres_running()

    def __exit__(self, *error: object) -> None:
        """Stops the server."""
        self._server.cleanup()
