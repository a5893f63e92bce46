"""Commands for searches on a Ray cluster: submit, status, stop, fetch; and pack, which fetch has the cluster run."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from ama_ray.cli.console import JsonResult, Resuming, RunFile, Trials, complain, console, print_json, say
from ama_ray.errors import UserError
from ama_ray.jobs.address import ADDRESS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.jobs.jobs import Job, Jobs

ServerOption = Annotated[str, typer.Option(envvar="RAY_API_SERVER_ADDRESS", help="Ray's job server, on the head.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job, as submit and status name it.", show_default=False)]
LINES = 20
"""Of the log, that status shows of one job."""
PATIENCE = 3600
"""Seconds that pack keeps what it has printed for a client that is still reading it."""


def submit(
    run: RunFile,
    *,
    address: ServerOption = ADDRESS,
    out: Annotated[str | None, typer.Option(help="Folder for the results, on the cluster: an absolute path.")] = None,
    trials: Trials = None,
    resume: Resuming = "auto",
    working_dir: Annotated[
        Path | None, typer.Option(help="What is sent to the cluster. Default: the run file's folder.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Do not wait for the job, nor show what it prints.")] = False,
    as_json: JsonResult = False,
) -> None:
    """Search on a Ray cluster. Example: ama-ray submit run.yaml --out /shared/runs/my-run."""
    from ama_ray.jobs.jobs import NOT_FOUND, Jobs

    if as_json and not detach:
        raise UserError("submit: --json goes with --detach, as a job prints what it likes; status --json has the rest.")
    jobs = Jobs(address)
    job = jobs.submit(run, out=out, trials=trials, resume=resume, working_dir=working_dir)
    if as_json:
        print_json({"id": job, "address": address})
        return
    say(f"job {job}")
    if detach:
        say(f"find it again by {_commands(job, address)}")
        return
    try:
        for line in jobs.follow(job, complain):
            say(line)
    except KeyboardInterrupt:
        complain(f"detached; the job goes on; find it again by {_commands(job, address)}")
        raise typer.Exit(128 + signal.SIGINT) from None
    ended = jobs.get(job)
    if ended.reason:
        raise UserError(f"{job}: failed on the cluster ({ended.reason}).")
    if ended.exit_code == NOT_FOUND:
        raise UserError(f"{job}: the head has no ama-ray on its PATH; start Ray from an environment that has it.")
    if ended.state == "stopped":
        complain(f"{job} was stopped; the same command goes on from here")
    raise typer.Exit(ended.exit_code or 0)


def status(
    job: Annotated[str | None, typer.Argument(metavar="JOB", help="Also the end of its log.")] = None,
    address: ServerOption = ADDRESS,
    as_json: JsonResult = False,
) -> None:
    """What became of submitted searches. Example: ama-ray status my-run-3f9a1c."""
    from ama_ray.jobs.jobs import Jobs

    jobs = Jobs(address)
    found = [jobs.get(job)] if job else jobs.searches()
    if as_json:
        print_json({"jobs": [_fields(each) for each in found]})
        return
    if not found:
        say(f"{address}: no search was submitted there.")
        return
    console.print(_table(found))
    if job:
        _show_end(jobs, job)


def stop(job: JobId, address: ServerOption = ADDRESS, as_json: JsonResult = False) -> None:
    """End a submitted search in good order. Example: ama-ray stop my-run-3f9a1c."""
    from ama_ray.jobs.jobs import Jobs

    jobs = Jobs(address)
    before = jobs.get(job)
    ended = jobs.stop(job) if before.exit_code is None else before
    if as_json:
        print_json(_fields(ended))
        return
    if before.exit_code is not None:
        say(f"{job} has ended already: {before.state}.")
        return
    _show_end(jobs, job)
    there = f"; submitted again, the search goes on with what is in {ended.out}" if ended.out else ""
    say(f"{job}: {ended.state}{there}")


def fetch(
    job: JobId,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the copy.")],
    address: ServerOption = ADDRESS,
    as_json: JsonResult = False,
) -> None:
    """Copy the folder of a submitted search to here. Example: ama-ray fetch my-run-3f9a1c -o runs/my-run."""
    from ama_ray.jobs.jobs import Jobs

    Jobs(address).fetch(job, out, complain)
    if as_json:
        print_json({"folder": str(out)})
    else:
        say(f"{out} holds the run.")


def pack(folder: Path) -> None:
    """Print the folder of a run for `fetch`, and take it out of the log when that has read it."""
    from ama_ray.jobs.archive import pack as pack_run

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    pack_run(folder.expanduser(), print)
    sys.stdout.flush()
    signal.sigtimedwait({signal.SIGTERM}, PATIENCE)
    sys.stdout.truncate(0)


def _fields(job: Job) -> dict[str, Any]:
    return vars(job) | {"started": job.started.isoformat()}


def _table(jobs: Sequence[Job]) -> Table:
    table = Table(expand=True)
    for name in ("job", "state", "submitted", "out"):
        table.add_column(name, overflow="fold")
    table.add_column("last line", no_wrap=True, ratio=1, min_width=16)
    for job in jobs:
        failed = f" ({job.exit_code})" if job.state == "failed" else ""
        when = job.started.astimezone().strftime("%Y-%m-%d %H:%M")
        table.add_row(job.id, job.state + failed, when, job.out or "-", job.line or job.reason or "-")
    return table


def _show_end(jobs: Jobs, job: str) -> None:
    for line in jobs.last_lines(job, LINES):
        say(line)


def _commands(job: str, address: str) -> str:
    where = "" if address == ADDRESS else f" --address {address}"
    return f"ama-ray status {job}{where}, ama-ray stop {job}{where} and ama-ray fetch {job}{where} -o FOLDER"
