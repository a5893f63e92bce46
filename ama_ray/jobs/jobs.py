"""`Jobs`: searches as jobs of a Ray cluster, over nothing but its job server."""

from __future__ import annotations

import re
import secrets
import shlex
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ama_ray.errors import UserError
from ama_ray.jobs import archive, log
from ama_ray.jobs.address import ADDRESS
from ama_ray.jobs.client import asking, connect
from ama_ray.jobs.package import JobFiles
from ama_ray.storage.run_folder import held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ray.job_submission import JobDetails, JobSubmissionClient

    from ama_ray.storage.run_folder import Resume

STOP_SECONDS = 120
"""What Ray gives a job that is stopped before it kills it; a search needs seconds to write what it has."""
NOT_FOUND = 127
"""What a shell ends with where there is no such command."""
_SEARCH, _PACKING = "ama-ray search ", "ama_ray-pack"


@dataclass(frozen=True)
class Job:
    """A job as its cluster knows it.

    Attributes:
        id: Names it to `Jobs`.
        state: pending, running, stopped, succeeded or failed.
        exit_code: As of a command here: of the search; 130 where the job was stopped; None until it has ended.
        started: When it was submitted.
        out: The folder of the run, on the cluster; empty where something else than `Jobs.submit` submitted it.
        reason: What Ray says about a job that failed before its command began.
        line: The last line that it printed.
    """

    id: str
    state: str
    exit_code: int | None
    started: datetime
    out: str
    reason: str
    line: str = ""


class Jobs:
    """The jobs of one cluster."""

    def __init__(self, address: str = ADDRESS) -> None:
        """Connects at the first question.

        Args:
            address: The address of Ray's job server.
        """
        self.address = address

    @cached_property
    def _client(self) -> JobSubmissionClient:
        return connect(self.address)

    def submit(
        self,
        run: str | Path,
        *,
        out: str | None = None,
        trials: int | None = None,
        resume: Resume = "auto",
        working_dir: str | Path | None = None,
    ) -> str:
        """Sends a run file and what is beside it to the cluster, and has it searched there.

        Args:
            run: The run file.
            out: Folder for the results, instead of the run file's: an absolute path of the cluster.
            trials: Number of trials, instead of the run file's.
            resume: What `search` takes under this name.
            working_dir: The folder that is sent; default: that of the run file.

        Returns:
            The job's id.

        Raises:
            UserError: Something about the run file is off, or the cluster cannot be reached.
        """
        files = JobFiles.of(Path(run), Path(working_dir) if working_dir else None, out=out, trials=trials)
        options = {"--out": out, "--trials": trials, "--resume": None if resume == "auto" else resume}
        given = [str(part) for option in options.items() if option[1] is not None for part in option]
        with tempfile.TemporaryDirectory() as scratch:
            archive = Path(scratch) / "job.zip"
            files.pack(archive)
            return self._submit(
                [*("search", files.run.as_posix()), *given],
                re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(files.out).name),
                {"run": files.run.name, "out": files.out},
                {"working_dir": str(archive)},
            )

    def follow(self, job: str, tell: Callable[[str], None] = lambda line: None) -> Iterator[str]:
        """The lines that a job prints, from its first to its last, as they come.

        Args:
            job: The job's id.
            tell: Called with a line of text where the connection is lost or found again.

        Raises:
            UserError: There is no such job, or the cluster has not answered for half an hour.
        """
        with asking(self.address, "the cluster does not answer any more"):
            lines = log.lines(self._client, job, lambda: _ended(self._details(job)), tell)
            yield from log.without_rays_own(lines)

    def searches(self) -> list[Job]:
        """The searches that were submitted, by whichever command, the last one first.

        Raises:
            UserError: The cluster cannot be reached.
        """
        with asking(self.address, "its jobs cannot be listed"):
            found = [each for each in self._client.list_jobs() if each.submission_id and _SEARCH in each.entrypoint]
        jobs = [_job(each) for each in sorted(found, key=lambda each: each.start_time or 0, reverse=True)]
        return [replace(job, line=(self.last_lines(job.id, 1) or [""])[0]) for job in jobs]

    def get(self, job: str) -> Job:
        """One job.

        Raises:
            UserError: There is no such job, or the cluster cannot be reached.
        """
        with asking(self.address, f"{job} cannot be asked for"):
            found = _job(self._details(job))
        return replace(found, line=(self.last_lines(job, 1) or [""])[0])

    def last_lines(self, job: str, count: int) -> list[str]:
        """The last lines that a job has printed, without empty ones.

        Raises:
            UserError: There is no such job, or the cluster cannot be reached.
        """
        with asking(self.address, f"the log of {job} cannot be read"):
            lines = self._client.get_job_logs(job).splitlines()
        return [line.rstrip() for line in log.without_rays_own(iter(lines)) if line.strip()][-count:]

    def stop(self, job: str) -> Job:
        """Ends a job and waits for its end: a search abandons its running trials and writes everything it has.

        Raises:
            UserError: There is no such job, or the cluster cannot be reached.
        """
        found = self.get(job)
        with asking(self.address, f"{job} cannot be stopped"):
            self._client.stop_job(job)
            while not _ended(self._details(job)):
                time.sleep(0.5)
        return self.get(found.id)

    def fetch(self, job: str, folder: str | Path, tell: Callable[[str], None] = lambda line: None) -> None:
        """Copies the folder of a run, finished or not, from the cluster to here.

        Args:
            job: The job's id.
            folder: A folder that is new, empty, or has an earlier copy.
            tell: Called with a line of text where the connection is lost or found again.

        Raises:
            UserError: There is no such job or no run yet, the folder holds something else, or the cluster cannot be
                reached.
        """
        out, folder = self.get(job).out, Path(folder)
        if not out:
            raise UserError(f"{job}: not submitted by ama-ray submit, so its `out` is not known; copy it from there.")
        with held(folder), tempfile.TemporaryFile() as file:
            packing = self._submit(["pack", out], _PACKING, {})
            try:
                receiver = archive.Receiver(file)
                if not any(receiver.take(line) for line in self.follow(packing, tell)):
                    raise UserError(f"{job}: {receiver.other.removeprefix('error: ')}")
            finally:
                self.stop(packing)
                with asking(self.address, f"{packing} cannot be removed"):
                    self._client.delete_job(packing)
            archive.unpack(file, folder, receiver.size)

    def _submit(
        self, command: list[str], name: str, metadata: dict[str, str], environment: dict[str, Any] | None = None
    ) -> str:
        # The environment of the head's Ray comes first; then this one, for a Ray on this machine that was started from
        # outside of it.
        path = f'PATH="$PATH":{shlex.quote(str(Path(sys.executable).parent))}'
        variables = {
            "RAY_JOB_STOP_WAIT_TIME_S": str(STOP_SECONDS),
            "COLUMNS": str(shutil.get_terminal_size().columns),
        }
        client = self._client
        with asking(self.address, "the job cannot be submitted"):
            job: str = client.submit_job(
                entrypoint=f"{path} {shlex.join(['ama-ray', *command])}",
                submission_id=f"{name}-{secrets.token_hex(3)}",
                runtime_env={**(environment or {}), "env_vars": variables},
                metadata=metadata,
            )
        return job

    def _details(self, job: str) -> JobDetails:
        try:
            return self._client.get_job_info(job)
        except RuntimeError as error:
            if "status code 404" not in str(error):
                raise
            raise UserError(f"{job}: there is no such job at {self.address}; ama-ray status lists them.") from None


def _ended(details: JobDetails) -> bool:
    return bool(details.status.is_terminal())


def _job(details: JobDetails) -> Job:
    state, code = details.status.value.lower(), details.driver_exit_code
    if state == "stopped":
        code = 130
    elif state == "failed":
        code = 1 if code is None else code if code > 0 else 128 - code
    reason = (details.message or "") if details.driver_exit_code is None and state == "failed" else ""
    return Job(
        id=details.submission_id or details.job_id,
        state=state,
        exit_code=code,
        started=datetime.fromtimestamp((details.start_time or 0) / 1000, UTC),
        out=(details.metadata or {}).get("out", ""),
        reason=" ".join(reason.split()),
    )
