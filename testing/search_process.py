"""A search in a process of its own that faults are injected into, and what became of its trials."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psutil
import yaml

from ama_ray.config import RunConfig
from ama_ray.errors import UserError
from ama_ray.miniature import ROOT
from ama_ray.storage.records import read_trials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from ama_ray.scores.trial import Trial

TRIALS = 16
REPORTED = 4
FILES = {"file": "search", "report_file": "report"}
LIMIT = 900.0
"""Seconds after which a wait has failed."""
ENGINE = "SwapTrial", "ResourceTrainable"
"""What Ray names the process of a trial's actor, which is also that of its engine."""
# The order in which trials end then makes no difference to what the search tries, nor to what it scores whole.
ORDERLESS = {"sampler": "random", "early_stopping": False}


def reward(scorer: str = f"{ROOT / 'reward.py'}:score") -> dict[str, Any]:
    """The reward of the miniature with shorter replies and fewer of them, as most of a trial's time goes there."""
    return {
        "kind": "function",
        "prompts": {split: str(ROOT / f"data/{folder}/prompts.jsonl") for split, folder in FILES.items()},
        "scorer": scorer,
        "sampling": {"max_tokens": 12, "temperature": 1.0, "n": 1},
    }


@dataclass
class FaultRun:
    """A search of the miniature by the command line, started again where a fault ended it.

    Attributes:
        folder: Gets the run file, the run and the log.
        fields: Of the run file, besides the miniature's.
        environment: Of the process, besides this one's.
        before: Every trial that was seen on disk before a fault.
        recovered: Seconds from each fault, or from the command that went on after it, to the next finished trial.
        faults: How many.
        note: What else there is to say, for the table.
        doubled: Trials of the study that stand for one trial of the run, or are still under way; None: not counted yet.
    """

    folder: Path
    fields: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    before: dict[int, Trial] = field(default_factory=dict)
    recovered: list[float] = field(default_factory=list)
    faults: int = 0
    note: str = ""
    doubled: int | None = None

    def __post_init__(self) -> None:
        """Writes the run file."""
        self.folder.mkdir(parents=True)
        given = {"out": self.folder / "run", "trials": TRIALS, "report": {"points": REPORTED}, "reward": reward()}
        config = RunConfig.load(ROOT / "run.yaml", **given)
        fields = config.model_dump(mode="json", exclude_none=True) | self.fields
        (self.folder / "run.yaml").write_text(yaml.safe_dump(fields), encoding="utf-8")
        self.out = type(self.folder)(fields["out"])
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts the command, or starts it again."""
        command = [sys.executable, "-m", "ama_ray.cli", "search", str(self.folder / "run.yaml")]
        with (self.folder / "log").open("ab") as log:
            environment = os.environ | self.environment
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)

    @property
    def log(self) -> str:
        """What the command printed, all starts of it."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    @property
    def trials(self) -> list[Trial]:
        """Those on disk now."""
        try:
            return read_trials(self.out / "trials.csv")
        except UserError:
            return []

    @property
    def results(self) -> int:
        """How often a trial has been scored, on either split, or failed."""
        return sum((trial.search is not None) + (trial.report is not None) or 1 for trial in self.trials)

    def wait_for(self, ready: Callable[[], Any], limit: float = LIMIT) -> Any:
        """Waits until something is so.

        Raises:
            RuntimeError: It took too long, or the command ended before.
        """
        start = time.monotonic()
        while not (found := ready()):
            if time.monotonic() - start > limit:
                raise RuntimeError(f"nothing happened in {limit:.0f} s; see {self.folder / 'log'}")
            if self.process is None or self.process.poll() is not None:
                if found := ready():  # written as it ended
                    break
                raise RuntimeError(f"the command ended too early; the end of the log:\n{self.log[-2000:]}")
            time.sleep(0.05)
        return found

    def wait_for_results(self, count: int) -> None:
        """Waits for so many more results."""
        want = self.results + count
        self.wait_for(lambda: self.results >= want)

    def inject(self, fault: Callable[[], object]) -> None:
        """Notes what is on disk, and does it."""
        self.faults += 1
        self.before |= {t.number: t for t in self.trials if t.state == "complete" and (t.search or t.report)}
        fault()

    def time_recovery(self) -> None:
        """Waits for the next result, and notes how long that took."""
        start, known = time.monotonic(), self.results
        self.wait_for(lambda: self.results > known)
        self.recovered.append(time.monotonic() - start)

    def time_retry(self, since: int) -> None:
        """Waits until a trial whose engine died has been scored by another one.

        Args:
            since: How much of the log there was before the engine died.
        """
        start = time.monotonic()
        found = self.wait_for(lambda: re.search(r"^trial (\d+): .* runs again", self.log[since:], re.MULTILINE))
        number = int(found.group(1))
        self.wait_for(lambda: re.search(rf"trial {number}( of \d+)? \(", self.log[since:]))
        self.recovered.append(time.monotonic() - start)

    def kill(self, number: int = signal.SIGKILL) -> int:
        """Sends the command a signal and waits for its end.

        Returns:
            Its exit code.
        """
        assert self.process
        self.process.send_signal(number)
        return self.process.wait(LIMIT)

    def close(self) -> None:
        """Kills the command with all it has started, where it is still there."""
        if self.process and self.process.poll() is None:
            end([*offspring([self.process.pid]), psutil.Process(self.process.pid)])
            self.process.wait()

    def finish(self, expected: int = 0) -> None:
        """Waits for the end of the command.

        Raises:
            RuntimeError: Its exit code is not the expected one.
        """
        assert self.process
        self.expect(self.process.wait(LIMIT), expected)

    def expect(self, code: int, expected: int) -> None:
        """Compares an exit code of the command.

        Raises:
            RuntimeError: It is not the expected one.
        """
        if code != expected:
            raise RuntimeError(f"exit code {code} instead of {expected}; the end of the log:\n{self.log[-2000:]}")

    def engines(self) -> list[psutil.Process]:
        """The processes of the trials' actors, where the run has not joined a cluster."""
        assert self.process
        return engines_among(offspring([self.process.pid]))


def offspring(pids: Iterable[int]) -> list[psutil.Process]:
    """All processes that these have started, and theirs."""
    found: dict[int, psutil.Process] = {}
    for pid in pids:
        try:
            found |= {each.pid: each for each in psutil.Process(pid).children(recursive=True)}
        except psutil.NoSuchProcess:
            continue
    return list(found.values())


def engines_among(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Those that are trial actors."""
    return [each for each in processes if any(name in title(each) for name in ENGINE)]


def title(process: psutil.Process) -> str:
    """What a process calls itself, with its arguments; empty where it has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def end(processes: Iterable[psutil.Process]) -> None:
    """`kill -9` of some processes; returns when they have ended."""
    every = list(processes)
    for process in every:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(every, timeout=10)
