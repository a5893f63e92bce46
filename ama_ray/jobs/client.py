"""The way to Ray's job server on the head of a cluster."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ray.exceptions import AuthenticationError
from ray.job_submission import JobSubmissionClient

from ama_ray.environment import variable
from ama_ray.errors import UserError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS = "http://127.0.0.1:8265"
"""Where Ray's job server is, unless told otherwise: here, or at the end of a tunnel."""
TOKEN = "~/.ray/auth_token"


def connect(address: str) -> JobSubmissionClient:
    """Finds the job server.

    Args:
        address: Its own, which is that of Ray's dashboard.

    Raises:
        UserError: None is there, or it does not take our token.
    """
    if not address.startswith(("http://", "https://")):
        raise UserError(f"{address}: not the address of Ray's job server; give one such as {ADDRESS}.")
    # Ray's client otherwise prefers `RAY_ADDRESS`, which is often not the job server's.
    with (
        variable("RAY_API_SERVER_ADDRESS", address),
        asking(address, f"no Ray cluster answers there; give its job server, such as {ADDRESS}"),
    ):
        for name in ("dashboard_sdk", "job.sdk"):
            logging.getLogger(f"ray.dashboard.modules.{name}").setLevel(logging.ERROR)
        try:
            return JobSubmissionClient()
        except AuthenticationError:
            # Ray's processes use a token that they find, its client only one that it was told to.
            if not (token := _token()):
                raise
            return JobSubmissionClient(headers={"Authorization": f"Bearer {token}"})


@contextmanager
def asking(address: str, otherwise: str) -> Iterator[None]:
    """Turns what may go wrong while the job server is asked into one sentence.

    Raises:
        UserError: Names the address, and says what `otherwise` says.
    """
    try:
        yield
    except AuthenticationError:
        place = "RAY_AUTH_TOKEN" if "RAY_AUTH_TOKEN" in os.environ else os.environ.get("RAY_AUTH_TOKEN_PATH", TOKEN)
        wrong = f"does not take the token of {place}" if _token() else f"asks for a token, and there is none in {place}"
        raise UserError(f"{address}: this Ray cluster {wrong}; put the cluster's there (docs/cluster.md).") from None
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(f"{address}: {otherwise} ({one_line(error)}).") from error


def _token() -> str:
    """The token of Ray's clusters from where Ray looks for it; empty where there is none."""
    if "RAY_AUTH_TOKEN" in os.environ:
        return os.environ["RAY_AUTH_TOKEN"]
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH", TOKEN)).expanduser()
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""
