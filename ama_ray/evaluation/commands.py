"""Rewards and probes that a command of the user scores, while the weights of a trial are live."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np

from ama_ray.config import CommandProbe
from ama_ray.environment import hidden
from ama_ray.errors import UserError
from ama_ray.processes import command as processes
from ama_ray.reading import parse_json, read_text
from ama_ray.rewards.base import ScorerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from ama_ray.config import CommandReward, Split
    from ama_ray.engine.engine import Engine
    from ama_ray.engine.openai_address import OpenAIAddress

LOGGED = 8000
"""Characters of what a command writes that go into the log of the run, the last ones."""


@dataclass(frozen=True)
class Outcome:
    """What a command said of one model.

    Attributes:
        scores: By item: its name, or its place where the command gives a list.
        written: What it wrote besides, for the log.
        failure: Why there are no scores; empty where there are.
    """

    scores: Mapping[str, float]
    written: str = ""
    failure: str = ""


@dataclass(frozen=True)
class PreparedCommand:
    """A command on one split; the same for every trial.

    Attributes:
        settings: Of the run file.
        split: Whose items it is to score.
    """

    settings: CommandReward | CommandProbe
    split: Split

    @classmethod
    def prepare(cls, settings: CommandReward | CommandProbe) -> dict[str, PreparedCommand]:
        """Checks that its program is there, without running it.

        Returns:
            The command on the `search` split, by base and aligned (`trade`) and in the first part too, and on the
            `report` split.

        Raises:
            UserError: There is no such program.
        """
        program = settings.command[0]
        at_path = program if "/" not in program else str(settings.folder / program)
        if not settings.folder.is_dir() or shutil.which(at_path) is None:
            raise UserError(
                f"{settings.name}: there is no program {program} that could be run in {settings.folder}; check "
                "`command` and `folder`."
            )
        search, report = cls(settings, "search"), cls(settings, "report")
        return {"trade": search, "search": search, "report": report, "part-0": search}

    @property
    def name(self) -> str:
        """Of the reward or probe."""
        return self.settings.name

    @property
    def digests(self) -> dict[str, str]:
        """Of the files that the command names, by path; what else it reads, nobody knows.

        A program by its absolute path is somebody else's, such as Python.
        """
        program, *arguments = self.settings.command
        named = arguments if Path(program).is_absolute() else [program, *arguments]
        files = [file for each in named if (file := self.settings.folder / each).is_file()]
        return {str(file): _digest(file) for file in files}

    def findings(self) -> str:
        """What `ama-ray check` says of it."""
        what, settings = shlex.join(self.settings.command), self.settings
        return f"{self.name}: `{what}` is run in {settings.folder} for each trial, {settings.timeout:g} s at most"

    def run(self, address: OpenAIAddress) -> Outcome:
        """Runs it on the weights that answer at an address."""
        with tempfile.TemporaryDirectory(prefix="ama_ray-command-") as scratch:
            file = Path(scratch) / "output.json"
            settings, environment = self.settings, self._environment(address, file)
            ran = processes.run(settings.command, environment, settings.folder, settings.timeout)
            before, _, last = ran.output.rstrip().rpartition("\n")
            output, errors = (hidden(text, address.key).strip() for text in (ran.output, ran.errors))
            everything = _joined(output, errors)
            if ran.failure:
                words = (errors or output).splitlines()[-1:]
                return Outcome({}, everything, ": ".join([ran.failure, *(word[:200] for word in words)]))
            try:
                in_file = file.exists()
                said = read_text(file) if in_file else last
                scores = self._scores(said, hidden(said, address.key)[:80])
            except (ValueError, OSError) as error:
                return Outcome({}, everything, str(error))
            return Outcome(scores, everything if in_file else _joined(hidden(before, address.key).strip(), errors))

    def _environment(self, address: OpenAIAddress, file: Path) -> dict[str, str]:
        # Proxies of the environment are not for one's own servers.
        direct = ",".join(filter(None, [os.environ.get("NO_PROXY"), urlsplit(address.url).hostname]))
        return {
            **os.environ,
            "NO_PROXY": direct,
            "no_proxy": direct,
            "OPENAI_BASE_URL": address.url,
            "OPENAI_API_KEY": address.key or "none",
            "AMA_RAY_MODEL": address.model,
            "AMA_RAY_SPLIT": self.split,
            "AMA_RAY_OUTPUT": str(file),
        }

    def _scores(self, said: str, shown: str) -> dict[str, float]:
        """The scores by item.

        Args:
            said: By the command.
            shown: The beginning of that, for errors.

        Raises:
            ValueError: What was said is no JSON, or no scores; in words that go on after the name of the command.
        """
        form = 'must say {"scores": [...]}'
        try:
            found = parse_json(said)
        except ValueError:
            raise ValueError(f"{form}, and said {shown!r}") from None
        scores = found.get("scores") if isinstance(found, dict) else None
        if isinstance(found, dict) and "mean" in found and scores is None:
            raise ValueError(f"gave a mean; it {form}, as trials are compared with base item by item")
        if isinstance(scores, list):
            scores = {str(place): score for place, score in enumerate(scores)}
        if not isinstance(scores, dict) or not scores:
            raise ValueError(f"{form} with a number per item, and said {shown!r}")
        for item, score in scores.items():
            if not isinstance(score, int | float) or not abs(score) <= sys.float_info.max:
                raise ValueError(f"gave the item {item} the score {score!r:.40}, which is no finite number")
            if isinstance(self.settings, CommandProbe) and not 0 <= score <= 1:
                raise ValueError(f"gave the item {item} the score {score!r:.40}; those of a probe are from 0 to 1")
        return {item: float(score) for item, score in scores.items()}


@dataclass(frozen=True)
class Commands:
    """The commands of a run on one split or part of it.

    Attributes:
        each: In the order of the run file.
        ends: The tokens that end a reply.
    """

    each: tuple[PreparedCommand, ...] = ()
    ends: tuple[int, ...] = ()

    def run(self, engine: Engine) -> dict[str, Outcome]:
        """Runs all of them at once on the weights that are live in an engine."""
        if not self.each:
            return {}

        def work(address: OpenAIAddress) -> dict[str, Outcome]:
            with ThreadPoolExecutor(len(self.each)) as pool:
                found = pool.map(lambda command: command.run(address), self.each)
                return {command.name: outcome for command, outcome in zip(self.each, found, strict=True)}

        return engine.serve(work, self.ends)

    def items(self, outcomes: Mapping[str, Outcome], base: Mapping[str, Outcome]) -> dict[str, NDArray[np.float64]]:
        """The scores item by item, in the order of base's.

        Raises:
            ScorerError: A command failed, here or on base, or scored other items than of base.
        """
        for name, found in outcomes.items():
            if trouble := _trouble(found, base[name]):
                of_base = {f"{name}, for base,": base[name].written} if base[name].failure else {}
                raise ScorerError(f"the command of {name} {trouble}", written(outcomes) | of_base)
        return {
            name: np.array([[found.scores[item]] for item in base[name].scores]) for name, found in outcomes.items()
        }


def written(outcomes: Mapping[str, Outcome]) -> dict[str, str]:
    """What commands wrote, by name of their reward or probe, where they wrote anything."""
    return {name: outcome.written for name, outcome in outcomes.items() if outcome.written}


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _joined(*texts: str) -> str:
    return "\n".join(filter(None, texts))[-LOGGED:]


def _trouble(found: Outcome, base: Outcome) -> str:
    """Why there are no scores to compare with base's, in words that go on after the name of the command."""
    if base.failure:
        return f"failed for base: it {base.failure}"
    if not found.failure and found.scores.keys() != base.scores.keys():
        return f"did not score the items of base: {_difference(found.scores, base.scores)}"
    return found.failure


def _difference(found: Iterable[str], base: Iterable[str]) -> str:
    missing, more = sorted(set(base) - set(found)), sorted(set(found) - set(base))
    told = [f"{len(each)} {what}, such as {each[0]}" for each, what in ((missing, "missing"), (more, "new")) if each]
    return " and ".join(told)
