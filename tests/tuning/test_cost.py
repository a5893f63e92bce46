"""What `ama-ray check` says that a run will take."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ama_ray.config import Budget, RunConfig
from ama_ray.evaluation.inputs import Inputs
from ama_ray.miniature import ROOT
from ama_ray.storage.identity import write_identity
from ama_ray.storage.records import write_trials
from ama_ray.tuning.budget import Costs
from ama_ray.tuning.cost import estimate
from tests.support.trials import trial

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def miniature() -> Inputs:
    return Inputs.open(RunConfig.load(ROOT / "run.yaml"))


def test_it_counts_requests_and_says_what_it_does_not_know(miniature: Inputs, tmp_path: Path) -> None:
    inputs = replace(miniature, config=miniature.config.model_copy(update={"out": tmp_path}))
    lines = list(estimate(inputs))
    requests = inputs.evaluations["search"].requests
    assert lines[0] == "trials: 40 of the search, then 12 to 22 on the report split"
    assert f"a trial of the search: {len(requests)} requests, " in lines[2]
    assert "GB for both endpoints" in lines[3]
    assert lines[-1].startswith("time: not known before the first trial")


@pytest.mark.parametrize(
    ("trials", "space", "told"),
    [
        (40, "per-layer", "8, in 37 of these trials"),
        (
            14,
            "per-layer",
            "8, in 11 of these trials; these are few for so many, and with few items `space: profile` has",
        ),
        (14, "profile", "8, in 11 of these trials"),
    ],
)
def test_it_says_how_many_numbers_there_are_to_choose(
    miniature: Inputs, tmp_path: Path, trials: int, space: str, told: str
) -> None:
    """Of a ratio for each of six layers, and the two sides of them."""
    config = miniature.config.model_copy(update={"out": tmp_path, "trials": trials, "space": space})
    line = list(estimate(replace(miniature, config=config)))[1]
    assert line.startswith(f"numbers that the sampler chooses: {told}")
    assert ("profile" in line) == ("profile" in told)


def test_time_is_that_of_earlier_trials_of_the_same_items(miniature: Inputs, tmp_path: Path) -> None:
    inputs = replace(miniature, config=miniature.config.model_copy(update={"out": tmp_path}))
    before = [replace(trial(n, 1.0, 0.1), seconds={"swap": 0.5, "generate": 1.0 + n}) for n in (0, 1)]
    write_trials(tmp_path / "trials.csv", before)
    write_identity(tmp_path, "a", inputs.digests)
    # Of 1.5 and 2.5 s: the mean 2, the variance 0.5; 1.96 * sqrt(0.5 * (40 + 1600 / 2)).
    assert "40 trials take 80 ± 40 s on one engine" in list(estimate(inputs))[-1]
    write_identity(tmp_path, "a", inputs.digests | {"base and aligned": "another"})
    assert "not known" in list(estimate(inputs))[-1]


def test_a_budget_is_told_with_what_it_leaves(miniature: Inputs, tmp_path: Path) -> None:
    costs = Costs.of(miniature.config, miniature.evaluations)
    all_trials = costs.least + 37 * costs.search + 10 * costs.report

    def told(budget: Budget) -> str:
        config = miniature.config.model_copy(update={"out": tmp_path, "budget": budget})
        (line,) = [line for line in estimate(replace(miniature, config=config)) if line.startswith("budget: ")]
        return line

    assert told(Budget(tokens=all_trials)).startswith(f"budget: {all_trials:,} tokens, enough for all trials; ")
    left = all_trials - 1 - costs.least
    less = told(Budget(tokens=all_trials - 1))
    assert f"all trials take at most {all_trials:,}; " in less
    assert f"which leaves {left:,}; one more trial of the search takes {costs.search:,} " in less
    assert told(Budget(hours=8)).startswith("budget: 8 hours; base, aligned ")
