"""A search whose engine is on two pretend GPUs: a process of it is killed, then all of it, and no score is another."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import psutil
import pytest

import ama_ray
from ama_ray import RunConfig
from ama_ray.miniature import ROOT
from testing.search_process import ORDERLESS, engines_among, offspring
from tests.support.pretend_gpus import pretend_gpus, rank_files, shared_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ama_ray import Run

# tests/engine/test_tensor_parallel.py stands for them in `make test`: each of these is two whole searches.
pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(1800)]

TRIALS = 5
SCORED = r"trial \d+ of \d+ \("


def search(out: Path, gpus: int, progress: Callable[[str], None], trials: int = TRIALS, items: int = 40) -> Run:
    fields = {"trials": trials, "report": {"points": 1}, "engine": {"dtype": "float32", "gpus": gpus}} | ORDERLESS
    config = RunConfig.load(ROOT / "run.yaml", unclear_trade="go-on", **fields)
    asked = config.model_dump(mode="json", exclude_none=True) | {"out": out}
    for each in (*(reward["prompts"] for reward in asked["reward"]), *asked["tax"]):
        each["items"] = items
    return ama_ray.search(progress=progress, **asked)


def ranks() -> list[psutil.Process]:
    """The processes of trial engines that share their weights."""
    trials = engines_among(offspring([psutil.Process().pid]))
    return [process for process in offspring([each.pid for each in trials]) if rank_files(process)]


class Killer:
    """Kills a process of the trials' engine after the first trial, and the actor that holds it after the third.

    Attributes:
        lines: What the search told.
        killed: Who was killed.
        files: What these and their like had under /dev/shm, which would be left there.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.killed: list[psutil.Process] = []
        self.files: set[Path] = set()

    def __call__(self, line: str) -> None:
        self.lines.append(line)
        done = sum(re.match(SCORED, each) is not None for each in self.lines)
        if re.match(SCORED, line) and done in (1, 3):
            found = ranks()
            (actor,) = {each.parent() for each in found}
            assert len(found) == 2
            assert actor
            victim = found[-1] if done == 1 else actor
            self.files |= {file for each in (actor, *found) for file in shared_files(each)}
            self.killed.append(victim)
            victim.kill()


def test_a_search_on_two_gpus_has_the_scores_of_one_on_one(tmp_path: Path) -> None:
    told = Killer()
    with pretend_gpus(2):
        two = search(tmp_path / "two", 2, told)
        one = search(tmp_path / "one", 0, lambda line: None)
    assert len(told.killed) == 2
    again = [line for line in told.lines if "it runs again with another engine" in line]
    assert any("a process of the engine has ended" in line for line in again)
    assert any("its process died" in line for line in again)
    assert not told.files
    assert not any(rank_files(process) for process in psutil.process_iter())
    same(two, one)


def same(two: Run, one: Run) -> None:
    """All trials of two runs have the same scores, item by item, and so their fronts are the same."""
    assert [trial.state for trial in two.trials] == ["complete"] * len(one.trials)
    for trial in one.trials:
        (other,) = (each for each in two.trials if each.number == trial.number)
        assert other.ratios == trial.ratios
        for split in ("search", "report"):
            seen: dict[str, Any] = two.items.read(split, trial.number) if trial.seen_on(split).scores else {}
            for name, items in seen.items():
                assert items == pytest.approx(one.items.read(split, trial.number)[name], abs=1e-4)
    assert [trial.number for trial in two.pareto] == [trial.number for trial in one.pareto]


def test_a_longer_search(tmp_path: Path) -> None:
    with pretend_gpus(2):
        two, one = (search(tmp_path / str(gpus), gpus, lambda line: None, 40, 200) for gpus in (2, 0))
    same(two, one)
