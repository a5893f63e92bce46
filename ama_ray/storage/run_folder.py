"""`RunFolder`: the folder of a run, held by one process at a time, new or to be gone on with."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ama_ray.config import RunConfig
from ama_ray.errors import UserError
from ama_ray.reading import read_json
from ama_ray.storage.files import replacing
from ama_ray.storage.identity import STUDY, checksums, known_identity, write_identity
from ama_ray.storage.names import GIVEN, IDENTITY, LOCK, LOG, RUN, SUMMARY, TRIALS
from ama_ray.storage.objectives_file import ObjectivesFile
from ama_ray.storage.records import read_trials

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ama_ray.scores.objectives import Objectives
    from ama_ray.scores.trial import Trial

Resume = Literal["auto", "never", "must"]

MAY_DIFFER = (
    *("trials", "sampler", "warm_start", "stop", "early_stopping", "reference", "distill", "out", "storage", "mirror"),
    *("callbacks", "unclear_trade", "budget", "towers"),
    *("report.points", "engine.cpus", "engine.gpus", "engine.kv_cache_gib", "engine.endpoints", "engine.timeout"),
    *("engine.gpu_memory_utilization", "engine.max_num_seqs", "engine.max_model_len"),
    *("engine.url", "engine.api_key_env"),
)
"""Fields of a run file, and what is inside them, that leave the scores of earlier trials what they are."""
_JOB_FOLDER = re.compile(r"^/.*/working_dir_files/_ray_pkg_[0-9a-f]+/")


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run.

    Attributes:
        path: The folder.
        study: Name of the run's Optuna study.
        trials: What an earlier process finished.
    """

    path: Path
    study: str
    trials: tuple[Trial, ...]

    @classmethod
    def start(
        cls,
        config: RunConfig,
        digests: Mapping[str, str],
        objectives: Objectives,
        test_data: tuple[str, ...],
        tokens: Mapping[str, float],
        *,
        resume: Resume,
    ) -> RunFolder:
        """Prepares a held folder for a new run, or finds what is to be gone on with, and writes `run.yaml`.

        Args:
            config: The run file.
            digests: What the scores of a trial depend on besides the run file, each as a hash.
            objectives: What the objectives are made of.
            test_data: The rewards and probes whose search items are from a test split.
            tokens: How many tokens an item takes, by name of the reward or probe.
            resume: Whether the folder may hold a run, must not hold one, or has to.

        Raises:
            UserError: There is a run and should be none, or the other way round, or its trials could not be compared
                with new ones: the sentence lists the differences.
        """
        path = config.out
        there = (path / RUN).is_file()
        if resume == "must" and not there:
            raise UserError(f"{path}: there is no run to go on with; check `out`, or leave --resume must out.")
        if resume == "never" and there:
            raise UserError(f"{path}: there is a run already; give `out` another folder, or remove this one.")
        # A run that was killed before its first trial ended has an identity, and suggestions in its study.
        known = known_identity(path) if there else {}
        trials = tuple(read_trials(path / TRIALS)) if there and (path / TRIALS).is_file() else ()
        if trials and not known:
            raise UserError(
                f"{path / IDENTITY}: missing, so this run cannot be gone on with; put it back, or give `out` another "
                "folder."
            )
        differences = [*_differences(RunConfig.load(path / RUN), config), *_changed(known, digests)] if known else []
        if differences and trials:
            raise UserError(
                f"{path}: the trials of the run there would not be comparable with new ones, as these differ: "
                f"{'; '.join(differences)}; give `out` another folder, or undo the changes."
            )
        if differences or not known:
            known = {STUDY: f"{path.name}-{uuid.uuid4().hex[:8]}"}
        write_identity(path, known[STUDY], digests)
        with replacing(path / RUN) as file:
            file.write(config.to_yaml())
        ObjectivesFile.of(objectives, test_data, tokens).write(path)
        return cls(path, known[STUDY], trials)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Makes the folder of a run and holds it: the lock ends with the process, however that ends.

    Raises:
        UserError: Another process holds it, it holds something else than a run, or cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        if any(each.name not in (LOCK, LOG, GIVEN) for each in path.iterdir()) and not (path / RUN).is_file():
            raise UserError(
                f"{path}: this folder is not empty and not that of a run; give `out` another folder, or remove this "
                "one."
            )
        lock = (path / LOCK).open("a+", encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be the folder of a run ({error.strerror}); give `out` another one.") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise UserError(
                    f"{path}: its file system takes no locks ({error.strerror}), which keep two searches from one "
                    "folder; give `out` a folder on another file system, and `mirror` to keep a copy."
                ) from None
            lock.seek(0)
            raise UserError(
                f"{path}: another process is searching there ({lock.read().strip()}); wait for it, or give `out` "
                "another folder."
            ) from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {os.uname().nodename}")
        lock.flush()
        yield


def has_ended(path: Path, searched: int) -> bool:
    """Whether a run has ended in good order with so many trials of the search."""
    summary = _summary(path, searched)
    return summary is not None and not summary["interrupted"]


def finished(path: Path, searched: int, config: RunConfig, *, spent: bool = False) -> str:
    """Why there is nothing left to do in the folder of a run, and what would be; empty where there is.

    Args:
        path: The folder.
        searched: How many trials of the search are there.
        config: The run file.
        spent: Whether its budget allows no more of them.
    """
    summary = _summary(path, searched)
    if summary is None:
        return ""
    ended = summary["ended"]
    if "unclear_trade" in summary:
        return f"this run has ended: {ended or summary['unclear_trade']}" if config.unclear_trade == "stop" else ""
    if summary["interrupted"] or (searched < config.trials and not spent and not (ended and config.stop)):
        return ""
    more = "`budget`" if spent and searched < config.trials else "`trials`"
    return f"this run has finished{f' ({ended})' if ended else ''}; raise {more} to go on"


def _summary(path: Path, searched: int) -> dict[str, Any] | None:
    """What the last process that searched there has written at its end; None where trials have come since."""
    try:
        summary: dict[str, Any] = read_json(path / SUMMARY)
        is_of_these = summary["trials"] == searched and {"ended", "interrupted"} <= summary.keys()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return summary if is_of_these else None


def _differences(before: RunConfig, now: RunConfig) -> Iterator[str]:
    old, new = ({name: _place(each) for name, each in flat(c.model_dump(mode="json"))} for c in (before, now))
    for name in sorted(old.keys() | new.keys()):
        if not name.startswith(MAY_DIFFER) and old.get(name) != new.get(name):
            yield f"{name} (was {old.get(name)}, is {new.get(name)})"


def flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The plain values inside of dicts and lists, each with its dotted name."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        yield prefix, value
        return
    for key, each in items:
        yield from flat(each, f"{prefix}.{key}" if prefix else str(key))


def _place(value: Any) -> Any:
    """A path without the folder that Ray has made for a job, which is another one for the next job."""
    return _JOB_FOLDER.sub("", value) if isinstance(value, str) else value


def _changed(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    before, now = ({_place(name): digest for name, digest in checksums(each).items()} for each in (before, now))
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            yield f"the contents of {name}"
