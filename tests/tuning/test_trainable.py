"""What trials ask and score: of the items of the miniature a part, or all, on an engine that is made up."""

from __future__ import annotations

import random
from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ama_ray.config import RunConfig
from ama_ray.data import splits
from ama_ray.engine.replies import Reply
from ama_ray.evaluation import work
from ama_ray.evaluation.evaluation import WHOLE, is_part
from ama_ray.evaluation.inputs import Inputs
from ama_ray.miniature import ROOT
from ama_ray.run import StoredRun
from ama_ray.tuning.budget import Costs
from ama_ray.tuning.cost import estimate
from ama_ray.tuning.recorder import Recorder
from ama_ray.tuning.trainable import SwapTrial, TrialContext
from ama_ray.tuning.trial_records import TrialResult, TrialSpec
from tests.support.tune_trial import TuneTrial
from tests.support.words import StandInEngine

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ama_ray.engine.requests import Continuations, Generation, Request
    from ama_ray.scores.trial import Origin

SEEN, ALL = 35, 100
"""Items of a probe that a trial of the search sees, and those that there are."""
SEEN_PROMPTS, ALL_PROMPTS = 45, 128
FAMILIES = (("facts",), ("sums", "reversal"), ("lookup",), ("translation",))


class Merges(StandInEngine):
    """Says something else for every merge and request, and the same whenever it is asked.

    Attributes:
        asked: Tokens of each batch.
    """

    def __init__(self) -> None:
        self.asked: list[int] = []
        self._share = 0.0

    def swap(self, ratios: Any) -> None:
        self._share = sum(ratios.values()) / len(ratios)

    def answer(self, requests: Sequence[Request], first: Any = (), then: Any = lambda replies: None) -> list[Any]:
        self.asked.append(sum(work.read(request) + work.generated(request) for request in requests))
        return super().answer(requests, first, then)

    def generate(self, requests: Sequence[Generation]) -> list[list[Reply]]:
        return [[Reply(" please" * self._luck(r, n).randrange(9), tokens=3) for n in range(r.n)] for r in requests]

    def loglikelihoods(self, requests: Sequence[Continuations]) -> list[list[float]]:
        return [[-self._luck(request, each).random() for each in request.continuations] for request in requests]

    def _luck(self, request: Request, which: Any) -> random.Random:
        # Half of the answers are those of every merge.
        same = random.Random(f"{request.context}{which}").random() < 0.5 if hasattr(request, "context") else False
        return random.Random(f"{request!r} {which} {0 if same else self._share}")


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(splits, "FEWEST_SEARCHED", SEEN)
        patch.setattr(splits, "FEWEST_FOR_PARTS", SEEN)
        return Inputs.open(RunConfig.load(ROOT / "run.yaml"))


def made(inputs: Inputs) -> tuple[TrialContext, Merges]:
    engine = Merges()
    base = {name: inputs.evaluations[name].ask(engine) for name in WHOLE}
    engine.asked.clear()
    source = SimpleNamespace(get=lambda: engine)
    prepared: Any = SimpleNamespace(source=source, get_base_answers=base.__getitem__)
    return TrialContext(inputs.evaluations, inputs.objectives, prepared), engine


def spec(inputs: Inputs, number: int, ratio: float, origin: Origin = "baseline") -> TrialSpec:
    return TrialSpec(number, origin, dict.fromkeys(inputs.groups.names, ratio))


def run(context: TrialContext, trial: TrialSpec) -> TrialResult:
    """All steps of a trial in an actor of its own, without Ray."""
    actor = SwapTrial.__new__(SwapTrial)
    reference: Any = SimpleNamespace(get=lambda: context, timeout=600.0)
    actor.setup(trial.to_config(), reference)
    result = TrialResult.from_tune(actor.step())
    while result.state is None:
        result = TrialResult.from_tune(actor.step())
    return result


def tax(items: Any, base: Any) -> float:
    return float(np.mean([np.mean([base[name].mean() - items[name].mean() for name in each]) for each in FAMILIES]))


def sizes(items: Any) -> Counter[int]:
    """How many sources have so many items; those with replies, each of their two arrays."""
    return Counter(map(len, items.values()))


def test_base_and_aligned_see_all_items_and_are_scored_on_those_that_trials_see(inputs: Inputs) -> None:
    context, _ = made(inputs)
    base, aligned = (run(context, spec(inputs, number, float(number))) for number in (0, 1))
    between = run(context, spec(inputs, 2, 0.5))
    for result in (base, aligned, between):
        assert result.state == "complete"
        assert result.share == 1
        assert sizes(result.items) == {SEEN: 8, SEEN_PROMPTS: 2}
    assert not between.trade
    for result in (base, aligned):
        assert sizes(result.trade) == {ALL: 8, ALL_PROMPTS: 2}
        assert all(
            np.array_equal(result.items[name], whole[: len(result.items[name])]) for name, whole in result.trade.items()
        )
    assert aligned.scores
    assert aligned.scores.objectives["reward"].value == pytest.approx(aligned.trade["reward"][:SEEN_PROMPTS].mean())
    first = {name: array[:SEEN] for name, array in base.trade.items()}
    for result in (aligned, between):
        assert result.scores
        assert result.scores.objectives["tax"].value == pytest.approx(tax(result.items, first))
        assert result.scores.probes["facts"].tax == pytest.approx(np.mean(first["facts"] - result.items["facts"]))
    # On all items these are other numbers.
    assert tax(aligned.trade, base.trade) != pytest.approx(aligned.scores.objectives["tax"].value, abs=1e-3)


def test_scores_do_not_depend_on_whether_items_were_asked_in_parts(inputs: Inputs) -> None:
    context, engine = made(inputs)
    in_parts = run(context, spec(inputs, 3, 0.3, "sampler"))
    assert len(engine.asked) == len(splits.PARTS)
    whole = {name: each for name, each in inputs.evaluations.items() if not is_part(name)}
    at_once = run(TrialContext(whole, context.objectives, context.prepared), spec(inputs, 3, 0.3, "sampler"))
    assert len(engine.asked) == len(splits.PARTS) + 1
    assert in_parts.scores == at_once.scores
    assert all(np.array_equal(in_parts.items[name], array) for name, array in at_once.items.items())


def test_the_budget_counts_what_is_asked_and_check_says_it_before(inputs: Inputs, tmp_path: Path) -> None:
    context, engine = made(inputs)
    costs = Costs.of(inputs.config, inputs.evaluations)
    for number, (ratio, origin) in enumerate(
        [(0.0, "baseline"), (1.0, "baseline"), (0.5, "baseline"), (0.2, "sampler")]
    ):
        engine.asked.clear()
        trial = spec(inputs, number, ratio, origin)  # type: ignore[arg-type]
        run(context, trial)
        assert sum(engine.asked) == costs.of_trial(trial.asks) == (costs.trade if number < 2 else costs.search)
    assert costs.search == pytest.approx(0.35 * costs.trade, rel=0.05)
    estimated = [line for line in estimate(inputs) if " tokens read" in line]
    for line, name in zip(estimated, ("search", "trade"), strict=True):
        requests = inputs.evaluations[name].requests
        read, most = sum(map(work.read, requests)), sum(map(work.generated, requests))
        assert read + most == costs.of_trial(name)  # type: ignore[arg-type]
        assert f"{len(requests)} requests, {read} tokens read, at most {most} tokens generated" in line


def test_a_trade_is_tested_on_all_items_also_where_a_run_was_ended_between_the_two(
    inputs: Inputs, tmp_path: Path
) -> None:
    context, _ = made(inputs)
    ends = [run(context, spec(inputs, number, float(number))) for number in (0, 1)]
    config = RunConfig.load(ROOT / "run.yaml", out=tmp_path)
    trials: Any = ()
    for result in ends:
        recorder = Recorder(StoredRun(tmp_path, config, inputs.objectives, trials), lambda trial: None)
        recorder.on_trial_complete(0, [], TuneTrial(result.spec.to_config(), result.to_tune()))
        trials = recorder.run.trials
    test = StoredRun(tmp_path, config, inputs.objectives, trials).trade_test()
    assert test
    base, aligned = (result.trade for result in ends)
    assert test.tax.precision.items == dict.fromkeys(("facts", "sums", "reversal", "lookup", "translation"), ALL)
    assert test.tax.value == pytest.approx(tax(aligned, base))
    won = (aligned["reward"] - base["reward"])[:, 0]
    assert test.gains[0].value == pytest.approx(won.mean())
    assert test.gains[0].se == pytest.approx(won.std(ddof=1) / len(won) ** 0.5)
    # Trials are compared on what all of them saw.
    assert recorder.run.searched_pareto.aligned.tax == pytest.approx(tax(ends[1].items, ends[0].items))
