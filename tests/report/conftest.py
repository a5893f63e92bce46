"""A made-up run with the shape of a real one: layers differ in what they give and in what they cost."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ama_ray.config import BASELINE_RATIOS
from ama_ray.report.write import write_report
from ama_ray.scores.objectives import Objectives
from ama_ray.scores.terms import ProbeTerm, RewardTerm
from ama_ray.scores.trial import Origin, ProbeResult, Scores, Trial
from tests.support.runs import in_folder, run_of
from tests.support.trials import scores

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.run import StoredRun

GROUPS = [f"layers.{i}" for i in range(8)]
PROBES = {"arc": 0.62, "squad": 0.71, "drop": 0.44, "fr-en": 0.35}
TERMS = tuple(ProbeTerm(name, name, "mean") for name in PROBES)


def _scored(number: int, origin: Origin, ratios: np.ndarray, draw: np.random.Generator) -> Trial:
    depth = np.linspace(0, 1, len(ratios))

    def once(shift: float) -> Scores:
        reward = -0.2 + 4.3 * np.mean((1 - (1 - ratios) ** 2.2) * (0.4 + 1.2 * depth)) + shift + draw.normal(0, 0.03)
        tax = float(0.258 * np.mean(ratios**2 * (1.7 - 1.4 * depth)) + (draw.normal(0, 0.004) if ratios.any() else 0.0))
        probes = {name: ProbeResult(score - tax, 0.02, tax, 0.01) for name, score in PROBES.items()}
        return scores((float(reward), tax), (0.06, 0.008 if ratios.any() else 0.0), probes=probes)

    seconds = {"swap": 0.02, "generate": 3.1, "score": 0.6}
    again = once(0.05) if origin == "baseline" or number % 2 else None
    groups = dict(zip(GROUPS, ratios.tolist(), strict=True))
    return Trial(number, "complete", origin, groups, once(0.0), again, seconds)


@pytest.fixture(scope="session")
def reported() -> StoredRun:
    """A run whose uniform points and half of whose other ones were scored on the report split."""
    return _made_up(60)


@pytest.fixture(scope="session")
def report_folder(reported: StoredRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of that run with its report, which was written without a warning. To be looked at only."""
    run = in_folder(reported, tmp_path_factory.mktemp("reported"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_report(run, {"wall": 90.0, "slots": 2})
    return run.folder


@pytest.fixture(scope="session")
def long_run() -> StoredRun:
    """A run of 200 trials, reported likewise."""
    return _made_up(200)


def _made_up(count: int) -> StoredRun:
    draw = np.random.default_rng(3)
    trials = [_scored(i, "baseline", np.full(8, r), draw) for i, r in enumerate(BASELINE_RATIOS)]
    ramp = np.linspace(-0.5, 0.5, 8)
    for number in range(11, count):
        ratios = np.clip(draw.uniform(-0.3, 1.3) + draw.uniform(-0.3, 2) * ramp + draw.normal(0, 0.12, 8), 0, 1)
        trials.append(_scored(number, "warm start" if number < 14 else "sampler", ratios, draw))
    trials.append(Trial(count, "failed", "sampler", trials[-1].ratios, reason="OutOfMemoryError: 3 GiB, then\nnothing"))
    return run_of(trials, objectives=_objectives("reward"))


def _objectives(*rewards: str) -> Objectives:
    return Objectives(tuple(RewardTerm(name, name, 1.0, 0) for name in rewards), TERMS)


@pytest.fixture(scope="session")
def run(reported: StoredRun) -> StoredRun:
    """The same run before its report."""
    return reported.with_trials([replace(trial, report=None) for trial in reported.trials])


@pytest.fixture
def test_data_run(run: StoredRun) -> StoredRun:
    """A run that searched on test data."""
    return run_of(run.trials, objectives=run.objectives, test_data=("arc",), allow_test_split=True)


@pytest.fixture
def bounded(run: StoredRun) -> StoredRun:
    """A run with a constraint and a reference point."""
    start = {"reward": 1.5, "tax": 0.09}
    return run_of(run.trials, objectives=run.objectives, constraints={"tax": "<= 0.1"}, reference=start)


@pytest.fixture
def unsatisfied(run: StoredRun) -> StoredRun:
    """A run with a constraint that no trial satisfies."""
    return run_of(run.trials, objectives=run.objectives, constraints={"reward": ">= 99"})


@pytest.fixture(scope="session", params=[3, 4])
def several(request: pytest.FixtureRequest, reported: StoredRun) -> StoredRun:
    """The same run with two or three rewards, each with a taste of its own."""
    names = [*("helpful", "harmless", "honest")[: request.param - 1], "tax"]

    def with_more(trial: Trial, before: Scores | None) -> Scores | None:
        if before is None:
            return None
        first, *_, last = trial.ratios.values()
        reward, tax = before.objectives["reward"].value, before.objectives["tax"].value
        rewards = [reward, 40 + 3 * reward + 8 * first, reward - 90 + last][: request.param - 1]
        return scores((*rewards, tax), None, names, before.probes)

    trials = [replace(t, search=with_more(t, t.search), report=with_more(t, t.report)) for t in reported.trials]
    return run_of(trials, objectives=_objectives(*names[:-1]))
