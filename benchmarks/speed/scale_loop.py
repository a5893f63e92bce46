"""A run of `search()`'s own loop whose trials only sleep; see `benchmarks.speed.scale`.

A module of its own, as Ray's workers import it.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import time
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np

from ama_ray.config import RunConfig
from ama_ray.evaluation.commands import Commands
from ama_ray.evaluation.evaluation import Answers, Evaluation, Measured
from ama_ray.evaluation.inputs import Inputs
from ama_ray.miniature import ROOT
from ama_ray.run import StoredRun
from ama_ray.space.parametrization import parametrization
from ama_ray.storage.run_folder import RunFolder
from ama_ray.tuning.budget import Costs, Spending
from ama_ray.tuning.checking import CheckBeside
from ama_ray.tuning.cluster.memory import engine_bytes
from ama_ray.tuning.cluster.ray_cluster import ray_cluster
from ama_ray.tuning.cluster.slots import Slots
from ama_ray.tuning.events import trial_line
from ama_ray.tuning.loop import run_trials
from ama_ray.tuning.recorder import Recorder
from ama_ray.tuning.signals import Interrupts
from ama_ray.tuning.suggester import study_suggester
from ama_ray.tuning.trainable import SwapTrial
from ama_ray.tuning.trial_records import TrialResult
from ama_ray.tuning.warm_start import first_points

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from ama_ray.scores.trial import Trial

Interval = tuple[float, float]
"""Start and end, in seconds of this machine's clock."""


def measure(actors: int, sampler: str, seconds: float, trials: int, out: Path | None = None) -> dict[str, float]:
    """Runs a search on so many actors.

    Args:
        actors: How many run side by side.
        sampler: Its name in a run file.
        seconds: How long a trial sleeps.
        trials: How many trials the search has.
        out: The folder of the run; by default one that is removed.

    Returns:
        Trials of the search, trials a second of the steady part and the ideal, the shares of the ideal, wall seconds
        of the whole, and the share of them for which the driving process, the sampler included, kept a core busy.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = out or Path(folder) / "run"
        config = RunConfig.load(ROOT / "run.yaml", trials=trials, sampler=sampler, out=out, early_stopping=False)
        inputs = Inputs.open(config)
        evaluations = {split: Sleep.like(each, seconds) for split, each in inputs.evaluations.items()}
        inputs = replace(inputs, evaluations=evaluations)  # type: ignore[arg-type]
        out.mkdir()
        # More than this machine has: the trials sleep.
        resources = {"CPU": actors * config.engine.cpus, "memory": actors * engine_bytes(inputs, on_gpu=False)}
        with mock.patch.dict(os.environ, RAY_OVERRIDE_RESOURCES=json.dumps(resources)), ray_cluster():
            slots = Slots(config, engine_bytes(inputs, on_gpu=False))
            assert slots() == actors
            shape = parametrization(inputs.groups.ranges, config.mean_ratio)
            first, run = first_points(inputs, shape), StoredRun(out, config, inputs.objectives, ())
            study = RunFolder(out, "scale", ())
            suggester = study_suggester(inputs, run, study, shape, first, parallel=actors, tell=lambda line: None)

            def note(trial: Trial) -> None:
                volume = recorder.run.searched_pareto.hypervolume if trial.split == "search" else math.nan
                trial_line(trial, config.trials, volume)

            recorder = Naps(run, note)
            meeting: Any = Meeting(out / "started", actors)
            before = time.time(), time.process_time()
            run_trials(
                inputs,
                meeting,
                CheckBeside.done(),
                suggester,
                recorder,
                slots=slots,
                signals=Interrupts(),
                spending=Spending(None, Costs(1, 1, 1)),
                trainable=SleepTrial,
            )
            wall, busy = time.time() - before[0], time.process_time() - before[1]
    if recorder.last_failure:
        raise RuntimeError(recorder.last_failure)
    firsts = [naps[0][0] for naps in recorder.by_engine.values()]
    assert len(firsts) == actors
    steady = max(firsts), max(start for start, _ in recorder.searching)
    whole_search = min(firsts), max(end for _, end in recorder.searching)
    naps = [nap for each in recorder.by_engine.values() for nap in each]

    def of_ideal(window: Interval) -> float:
        return slept(naps, window) / (window[1] - window[0]) / actors

    return {
        "trials": trials,
        "per_s": of_ideal(steady) * actors / seconds,
        "ideal_per_s": actors / seconds,
        "steady": of_ideal(steady),
        "search": of_ideal(whole_search),
        "whole": of_ideal((before[0], before[0] + wall)),
        "wall_s": wall,
        "driver_busy": busy / wall,
    }


def slept(naps: Sequence[Interval], window: Interval) -> float:
    """Seconds slept within a window, summed over the naps."""
    return sum(max(0.0, min(end, window[1]) - max(start, window[0])) for start, end in naps)


class Naps(Recorder):
    """The product's recorder, which also remembers when each engine slept.

    Attributes:
        by_engine: All naps of each engine, in their order.
        searching: The naps of the search's trials.
    """

    def __init__(self, run: StoredRun, on_trial: Callable[[Trial], None]) -> None:
        """See `Recorder`."""
        super().__init__(run, on_trial)
        self.by_engine: dict[str, list[Interval]] = {}
        self.searching: list[Interval] = []

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Remembers, and records as ever."""
        nap, result = trial.last_result["nap"], TrialResult.from_tune(trial.last_result)
        self.by_engine.setdefault(result.engine, []).append(nap)
        if result.spec.split == "search":
            self.searching.append(nap)
        super().on_trial_complete(iteration, trials, trial, **info)


@dataclass(frozen=True)
class Meeting:
    """Stands in for `Prepared`, and for its source of engines: the engines wait for each other; base has no answers.

    Attributes:
        folder: Here the engines leave a file each.
        engines: How many there are.
    """

    folder: Path
    engines: int

    @property
    def source(self) -> Meeting:
        """Where the trials get their engines."""
        return self

    def get(self) -> StandInEngine:
        """Returns an engine when all engines are there."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / uuid.uuid4().hex).touch()
        while len(list(self.folder.iterdir())) < self.engines:
            time.sleep(0.01)
        return StandInEngine()

    def get_base_answers(self, split: str) -> Answers:
        """There are none; `Sleep` knows what base scores."""
        return Answers(())


class StandInEngine:
    """Keeps the ratios, and when the last trial slept."""

    ratios: Mapping[str, float]
    nap: Interval

    def swap(self, ratios: Mapping[str, float]) -> None:
        """Takes no time."""
        self.ratios = ratios


@dataclass(frozen=True)
class Sleep:
    """Stands in for an `Evaluation`: it sleeps, and makes items up.

    Attributes:
        requests: The requests of the evaluation that it stands for.
        rewards: The number of items by reward.
        probes: The number of items by probe.
        seconds: How long to sleep.
        commands: None.
    """

    requests: tuple[Any, ...]
    rewards: Mapping[str, int]
    probes: Mapping[str, int]
    seconds: float
    commands: Commands = field(default_factory=Commands)

    @classmethod
    def like(cls, evaluation: Evaluation, seconds: float) -> Sleep:
        """With as many items as an evaluation has."""
        rewards = [each.settings.name for each in evaluation.rewards]
        sizes = {name: len(places) for name, places in evaluation.places.items()}
        return cls(
            evaluation.requests,
            {name: sizes[name] for name in rewards},
            {name: size for name, size in sizes.items() if name not in rewards},
            seconds,
        )

    @property
    def places(self) -> dict[str, tuple[int, ...]]:
        """Trials see all items, as of so few."""
        return {}

    @property
    def context_length(self) -> int:
        """This is of no interest to an engine that does nothing."""
        return 1

    def evaluate(self, engine: StandInEngine, base: Callable[[], Answers]) -> Measured:
        """Sleeps; what it returns rises with the ratios for rewards, and falls for probes, each in its own way."""
        start = time.time()
        time.sleep(self.seconds)
        engine.nap = start, time.time()
        ratios = np.array([*engine.ratios.values()])
        rewards = {
            name: 4 * (1 - (1 - ratios).mean() ** 2) + _fixed(name, size).normal(size=(size, 1))
            for name, size in self.rewards.items()
        }
        return Measured(rewards | self._right(ratios), {}, {"generate": self.seconds})

    def measure_probes(self, answers: Answers, base: Answers) -> dict[str, NDArray[np.float64]]:
        """The items of base."""
        return self._right(None)

    def answers_in(self, whole: Sleep, answers: Answers) -> Answers:
        """There are none of a part either."""
        return answers

    def _right(self, ratios: NDArray[np.float64] | None) -> dict[str, NDArray[np.float64]]:
        items = {}
        for name, size in self.probes.items():
            draws = _fixed(name, size).random((size, 1))
            lost = 0.0
            if ratios is not None:
                weights = _fixed(name, len(ratios)).dirichlet(np.ones(len(ratios)))
                lost = 0.5 * float(weights @ ratios**2)
            items[name] = (draws < 1 - lost).astype(float)
        return items


def _fixed(name: str, size: int) -> np.random.Generator:
    """The same random numbers in every trial."""
    return np.random.default_rng([size, *name.encode()])


class SleepTrial(SwapTrial):
    """The product's trainable, whose engine is a stand-in."""

    engine: Any

    def step(self) -> dict[str, Any]:
        """See `SwapTrial`; the result also says when the trial slept."""
        return super().step() | {"nap": self.engine.nap}
