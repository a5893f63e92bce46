"""What a trial is scored on, by an engine whose answers are made up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ama_ray.config import RunConfig
from ama_ray.engine.requests import Generation, NextToken
from ama_ray.evaluation.evaluation import SPLITS
from ama_ray.evaluation.inputs import Inputs
from ama_ray.miniature import ROOT
from ama_ray.tuning.trainable import SwapTrial, TrialContext, TrialContextReference
from ama_ray.tuning.trial_records import TrialResult, TrialSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.config import Split
    from ama_ray.evaluation.evaluation import Answers

GROUPS = ("embed", "head")


class Engine:
    """Answers by the request and the mean ratio alone, and counts what it is asked."""

    def __init__(self) -> None:
        self.ratio, self.asked = 0.0, 0

    def swap(self, ratios: dict[str, float]) -> None:
        self.ratio = sum(ratios.values()) / len(ratios)

    def answer(self, requests: Sequence[Any]) -> list[Any]:
        self.asked += len(requests)
        return [self._one(request) for request in requests]

    def _one(self, request: Any) -> Any:
        right = np.random.default_rng(abs(hash(request)) % 2**32).random() > self.ratio / 2
        if isinstance(request, Generation):
            return ["a" if right else "bb"] * request.n
        if isinstance(request, NextToken):
            return {token: -float(i if right else -i) for i, token in enumerate(range(600))}
        return [-float(i if right else -i) for i in range(len(request.continuations))]


class Prepared:
    """Gives the engine, and what base answered."""

    def __init__(self, evaluations: Any) -> None:
        self.engine, self._evaluations = Engine(), evaluations

    @property
    def source(self) -> Any:
        return self

    def get(self) -> Engine:
        return self.engine

    def get_base_answers(self, split: Split) -> Answers:
        answers: Answers = self._evaluations[split].ask(Engine())
        return answers


class Stored(TrialContextReference):
    """A context that is in no object store."""

    def __init__(self, context: TrialContext) -> None:
        super().__init__(context, timeout=600.0)

    def get(self) -> TrialContext:
        context: TrialContext = self.reference
        return context


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    return Inputs.open(RunConfig.load(ROOT / "run.yaml"))


def steps(inputs: Inputs, spec: TrialSpec, *, whole: bool = False) -> tuple[list[TrialResult], int]:
    """The results of a trial after each step, and how many requests its engine got."""
    names = SPLITS if whole else (*inputs.evaluations,)
    evaluations = {str(name): inputs.evaluations[name] for name in names}
    prepared: Any = Prepared(evaluations)
    trial = object.__new__(SwapTrial)
    trial._reference = Stored(TrialContext(evaluations, inputs.objectives, prepared))
    trial.reset_config(spec.to_config())
    results: list[TrialResult] = []
    while not results or results[-1].state is None:
        results.append(TrialResult.from_tune(trial.step()))
    return results, prepared.engine.asked


def spec_at(ratio: float, origin: Any, split: Split = "search") -> TrialSpec:
    return TrialSpec(7, origin, {"embed": ratio, "head": ratio if origin == "baseline" else 0.3}, split)


@pytest.mark.parametrize("origin", ["sampler", "warm start"])
def test_a_trial_of_the_search_sees_the_first_third_of_the_items(inputs: Inputs, origin: str) -> None:
    results, asked = steps(inputs, spec_at(0.6, origin))
    assert [len(each.items["facts"]) for each in results] == [10, 20, 35]
    assert [each.state for each in results] == [None, None, "complete"]
    last = results[-1]
    assert {name: len(items) for name, items in last.items.items()} == dict.fromkeys(last.items, 35) | {"reward": 45}
    assert not last.rest
    whole = len(inputs.evaluations["search"].requests)
    assert asked == sum(len(inputs.evaluations[f"part-{part}"].requests) for part in range(3))
    assert last.share == pytest.approx(asked / whole)
    assert last.share == pytest.approx(0.35, abs=0.005)


@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0])
def test_base_and_aligned_see_the_rest_as_well_and_are_scored_on_what_all_see(inputs: Inputs, ratio: float) -> None:
    last = steps(inputs, spec_at(ratio, "baseline"))[0][-1]
    is_end = ratio != 0.5
    assert len(last.items["facts"]) == 35
    assert last.share == (1 if is_end else pytest.approx(0.35, abs=0.005))
    assert {name: len(items) for name, items in last.rest.items()} == (
        dict.fromkeys(last.items, 65) | {"reward": 83} if is_end else {}
    )
    all_at_once = steps(inputs, spec_at(ratio, "baseline"), whole=True)[0][-1]
    assert last.scores
    assert all_at_once.scores
    base = steps(inputs, spec_at(0.0, "baseline"))[0][-1].items
    expected = inputs.objectives.scores(last.items, last.items if ratio == 0 else base)
    assert last.scores.objectives == expected.objectives
    for name, items in last.items.items():
        both = [items, last.rest[name]] if is_end else [items]
        assert np.concatenate(both).tolist() == all_at_once.items[name][: sum(map(len, both))].tolist()


def test_the_report_and_a_search_without_parts_see_all_at_once(inputs: Inputs) -> None:
    (reported,), _ = steps(inputs, spec_at(0.6, "sampler", "report"))
    assert (len(reported.items["facts"]), reported.state, reported.share) == (200, "complete", 1)
    (searched,), _ = steps(inputs, spec_at(0.6, "sampler"), whole=True)
    assert (len(searched.items["facts"]), searched.state, searched.share) == (100, "complete", 1)
