"""A search in a process of its own that faults are injected into, and what became of its trials."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import optuna
import psutil
import yaml
from optuna.trial import TrialState

from ama_ray.config import RunConfig
from ama_ray.errors import UserError
from ama_ray.miniature import ROOT
from ama_ray.pareto import ParetoSet
from ama_ray.trials_csv import read_trials
from ama_ray.tuning.study import JOURNAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from ama_ray.trial import Trial

TRIALS = 24
LIMIT = 600.0
"""Seconds after which a wait has failed."""
ENGINE = "SwapTrial", "ResourceTrainable"
"""What Ray names the process of a trial's actor, which is also that of its engine."""


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
        doubled: Trials of the study that stand for one trial of the run, or are still under way; None: not counted yet.
    """

    folder: Path
    fields: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    before: dict[int, Trial] = field(default_factory=dict)
    recovered: list[float] = field(default_factory=list)
    faults: int = 0
    doubled: int | None = None

    def __post_init__(self) -> None:
        """Writes the run file."""
        self.folder.mkdir(parents=True)
        config = RunConfig.load(ROOT / "run.yaml", trials=TRIALS, out=self.folder / "run")
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
        """Waits until something is so, or the command has ended.

        Raises:
            RuntimeError: It took too long.
        """
        start = time.monotonic()
        while not (found := ready()):
            if time.monotonic() - start > limit:
                raise RuntimeError(f"nothing happened in {limit:.0f} s; see {self.folder / 'log'}")
            if self.process is None or self.process.poll() is not None:
                break
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

    def finish(self) -> int:
        """Waits for the end of the command.

        Returns:
            Its exit code.
        """
        assert self.process
        return self.process.wait(LIMIT)

    def engines(self) -> list[psutil.Process]:
        """The processes of the trials' actors."""
        assert self.process
        return [each for each in _offspring([self.process.pid]) if any(name in _title(each) for name in ENGINE)]

    def to_row(self, undisturbed: FaultRun | None) -> dict[str, Any]:
        """What became of the trials: the row of the table."""
        self.count_doubled()
        now = {trial.number: trial for trial in self.trials}
        lost = [
            number
            for number, trial in self.before.items()
            if number not in now
            or (trial.search and now[number].search != trial.search)
            or (trial.report and now[number].report != trial.report)
        ]
        pareto = ParetoSet.open(self.out)
        other = ParetoSet.open(undisturbed.out) if undisturbed else pareto
        return {
            "faults": self.faults,
            "finished before": len(self.before),
            "finished": sum(trial.search is not None for trial in now.values()),
            "failed": sum(trial.state == "failed" for trial in now.values()),
            "lost": len(lost),
            "doubled in the study": self.doubled,
            "seconds to recover": [round(seconds, 1) for seconds in self.recovered],
            "hypervolume": round(pareto.hypervolume, 3),
            "undisturbed": round(other.hypervolume, 3),
        }

    def count_doubled(self) -> None:
        """Looks into the study, once."""
        if self.doubled is not None:
            return
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.load_study(study_name=None, storage=self._storage())
        stored = [each for each in study.get_trials() if each.state != TrialState.FAIL]
        numbers = [each.user_attrs.get("number") for each in stored]
        under_way = sum(not each.state.is_finished() for each in stored)
        self.doubled = len(numbers) - len(set(numbers)) + under_way

    def _storage(self) -> Any:
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        if "storage" in self.fields:
            return self.fields["storage"]
        return JournalStorage(JournalFileBackend(str(self.out / JOURNAL)))


def _offspring(pids: Iterable[int]) -> list[psutil.Process]:
    found: dict[int, psutil.Process] = {}
    for pid in pids:
        try:
            found |= {each.pid: each for each in psutil.Process(pid).children(recursive=True)}
        except psutil.NoSuchProcess:
            continue
    return list(found.values())


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
