"""The way to Ray's job server on the head of a cluster."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ray.exceptions import AuthenticationError
from ray.job_submission import JobSubmissionClient

from ama_ray.environment import ray_token, ray_token_place, variable
from ama_ray.errors import UserError, one_line
from ama_ray.jobs.address import ADDRESS

if TYPE_CHECKING:
    from collections.abc import Iterator


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
            if not (token := ray_token()):
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
        place, known = ray_token_place(), ray_token()
        wrong = f"does not take the token of {place}" if known else f"asks for a token, and there is none in {place}"
        raise UserError(f"{address}: this Ray cluster {wrong}; put the cluster's there (docs/cluster.md).") from None
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(f"{address}: {otherwise} ({one_line(error)}).") from error
