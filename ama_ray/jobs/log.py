"""The log of a job, line by line as it is written, over connections that may be lost."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING

import aiohttp

from ama_ray.storage.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from ray.job_submission import JobSubmissionClient

FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0
PATIENCE = 1800.0
"""Seconds without an answer after which the job server is given up."""
SILENCE = 60.0
"""Seconds without a line after which the connection is made anew: it may be dead without anybody having said so."""
_LOST = (OSError, RuntimeError, aiohttp.ClientError)
_RAYS_OWN = re.compile(r"[-\d]+ [:,\d]+\tINFO job_manager\.py:\d+ -- |Running entrypoint for job ")


def lines(
    client: JobSubmissionClient, job: str, has_ended: Callable[[], bool], tell: Callable[[str], None]
) -> Iterator[str]:
    """The lines of a job's log, from its first to its last, as they come.

    Args:
        client: The job server.
        job: The job.
        has_ended: Whether it has, by the job server.
        tell: Called with a line of text where a connection is lost or found again.

    Raises:
        OSError, RuntimeError, aiohttp.ClientError: The job server has not answered for half an hour.
    """
    seen, rest = 0, ""
    lost: Backoff | None = None
    while True:
        try:
            # Asked before the log is: what was written between its end and the job's is then in the next one.
            ended = has_ended()
            if lost:
                tell("connected again")
            skip, lost = seen, None
            for text in _pieces(client, job):
                fresh = text[skip:]
                skip = max(0, skip - len(text))
                seen += len(fresh)
                *whole, rest = (rest + fresh).split("\n")
                yield from whole
            if ended:
                yield from [rest] if rest else []
                return
            time.sleep(FIRST_WAIT / 2)
        except TimeoutError:
            continue
        except _LOST:
            if not lost:
                tell("the connection to the cluster is lost; the job goes on, and so will this when it is back")
                lost = Backoff(FIRST_WAIT, LONGEST_WAIT)
            if lost.seconds > PATIENCE:
                raise
            lost.pause()


def without_rays_own(log: Iterator[str]) -> Iterator[str]:
    """Leaves out the lines that Ray writes in front of what the job does."""
    return (line for line in log if not _RAYS_OWN.match(line))


def _pieces(client: JobSubmissionClient, job: str) -> Iterator[str]:
    with asyncio.Runner() as runner:
        pieces = client.tail_job_logs(job)
        while (text := runner.run(_next(pieces))) is not None:
            yield text


async def _next(pieces: AsyncIterator[str]) -> str | None:
    return await asyncio.wait_for(anext(pieces, None), SILENCE)
