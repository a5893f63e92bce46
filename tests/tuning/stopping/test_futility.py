"""Which trials are stopped, on made-up items whose whole is known."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ama_ray.config import RunConfig
from ama_ray.data.splits import PARTS
from ama_ray.run import StoredRun
from ama_ray.scores.objectives import Objectives
from ama_ray.scores.terms import ProbeTerm, RewardTerm
from ama_ray.scores.trial import Trial
from ama_ray.tuning.recorder import Recorder
from ama_ray.tuning.stopping.estimates import ScoreEstimator
from ama_ray.tuning.stopping.futility import TOLERATED, FutilityStopper
from ama_ray.tuning.trial_records import TrialResult, TrialSpec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ama_ray.scores.objectives import Items

OBJECTIVES = Objectives(
    (RewardTerm("reward", "reward", 1.0, 0),),
    (ProbeTerm("facts", "knowledge", "mean"), ProbeTerm("sums", "math", "mean")),
)
COUNT = 400
RNG = np.random.default_rng(0)
LUCK = {name: RNG.random(COUNT) for name in ("facts", "sums")}
MOOD = RNG.normal(size=COUNT)


def items(reward: float, right: float, noise: int = 0) -> dict[str, NDArray[np.float64]]:
    """Prompts and items that all models find equally hard: paired, but for some noise of each model's own."""
    own = np.random.default_rng(noise)
    made = {"reward": reward + MOOD + 0.3 * own.normal(size=COUNT)}
    made |= {name: (luck + 0.05 * own.normal(size=COUNT) < right).astype(float) for name, luck in LUCK.items()}
    return {name: array[:, None] for name, array in made.items()}


def recorder_of(
    folder: Path, finished: Sequence[Trial], objectives: Objectives = OBJECTIVES, **fields: Any
) -> Recorder:
    config = RunConfig.from_arguments(
        base="org/base",
        aligned="org/aligned",
        reward={"kind": "function", "prompts": {"file": "p.jsonl"}, "scorer": "s.py:score"},
        tax=[
            {"kind": "choice", "name": "facts", "family": "knowledge", "file": "a.jsonl"},
            {"kind": "choice", "name": "sums", "family": "math", "file": "b.jsonl"},
        ],
        out=folder,
        **({"trials": 60} | fields),
    )
    return Recorder(StoredRun(folder, config, objectives, finished), lambda trial: None)


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    """Base, aligned, and the points of a front between them."""
    empty, trials = recorder_of(tmp_path, ()), []
    points = [(0.0, 1.0, 0.0), (4.0, 0.4, 1.0), (2.0, 0.9, 0.5), (3.0, 0.8, 0.7)]
    base = items(0.0, 1.0)
    for number, (reward, right, ratio) in enumerate(points):
        made = items(reward, right, number)
        empty.run.items.write("search", number, made)
        trials.append(Trial(number, "complete", "baseline", {"a": ratio}, OBJECTIVES.scores(made, base)))
    return recorder_of(tmp_path, trials)


def first(share: float, reward: float, right: float, noise: int = 9) -> dict[str, Any]:
    """The result of a trial that was scored on the first items."""
    some = {name: array[: round(share * COUNT)] for name, array in items(reward, right, noise).items()}
    return part(share, 0.6, some)


def part(share: float, ratio: float, items: Items) -> dict[str, Any]:
    return TrialResult(TrialSpec(9, "sampler", {"a": ratio}), "engine", 1.0, {}, share=share, items=items).to_tune()


def after(recorder: Recorder, result: dict[str, Any], stopped: bool) -> TrialResult:
    """What the recorder makes of a result that Tune has marked by a stopper's verdict."""
    result["done"] = stopped
    recorder.on_trial_result(0, [], None, result)
    return TrialResult.from_tune(result)


@pytest.mark.parametrize("share", [0.1, 0.35, 0.6])
@pytest.mark.parametrize(
    ("reward", "right", "stopped"),
    [
        (1.5, 0.6, True),  # far behind in both
        (2.9, 0.75, None),  # a little behind: depends on how much was seen
        (2.5, 0.95, False),  # better than the front
        (3.6, 0.7, False),  # fills a gap
    ],
)
def test_hopeless_trials_are_stopped_and_others_are_not(
    recorder: Recorder, share: float, reward: float, right: float, stopped: bool | None
) -> None:
    result = first(share, reward, right)
    before = dict(result)
    verdict = FutilityStopper(recorder)("trial", result)
    if stopped is not None:
        assert verdict is stopped
    assert result == before
    told = after(recorder, result, verdict)
    assert (told.state == "stopped") is verdict
    assert (told.scores is not None) is verdict


def test_the_estimate_is_that_of_all_items(recorder: Recorder) -> None:
    stopper, errors = FutilityStopper(recorder), []
    for noise in range(10, 60):
        result = first(0.2, 1.5, 0.6, noise)
        assert stopper("trial", result)
        scores = after(recorder, result, stopped=True).scores
        assert scores
        truth = OBJECTIVES.scores(items(1.5, 0.6, noise), recorder.run.items.read("search", 0)).objectives
        for name, estimate in scores.objectives.items():
            assert result[name] == estimate.value
            errors.append((estimate.value - truth[name].value) / estimate.se)
    # Unbiased, and not surer of itself than it may be.
    assert abs(np.mean(errors)) < 0.4
    assert 0.4 < np.std(errors) < 1.3


def test_a_whole_trial_is_never_stopped(recorder: Recorder) -> None:
    stopper = FutilityStopper(recorder)
    whole = TrialResult.from_tune(first(1.0, 1.5, 0.6))
    assert not stopper("trial", replace(whole, state="complete").to_tune())
    assert not stopper("trial", replace(whole, state="failed", reason="the scorer failed").to_tune())


def test_nothing_is_stopped_before_base_and_aligned_are_known(recorder: Recorder) -> None:
    without_aligned = [trial for trial in recorder.run.trials if trial.number != 1]
    fewer = recorder_of(recorder.run.folder, without_aligned)
    assert FutilityStopper(recorder)("trial", first(0.6, 1.5, 0.6))
    assert not FutilityStopper(fewer)("trial", first(0.6, 1.5, 0.6))


def test_a_few_items_that_agree_prove_nothing(recorder: Recorder) -> None:
    few = {name: array[:2] for name, array in recorder.run.items.read("search", 2).items()}
    estimator = ScoreEstimator(OBJECTIVES, recorder.run.items)
    estimates = estimator.estimate(few, {"a": 0.5}, recorder.run.trials).objectives
    assert estimates["tax"].se > 0.05
    assert estimates["reward"].se > 0.05
    assert FutilityStopper(recorder)("trial", first(0.6, 1.5, 0.6))


def test_the_tolerated_loss_is_shared_by_the_trials(recorder: Recorder) -> None:
    few, many = (stopper_of(recorder, trials=count) for count in (20, 200))
    assert few._worth_it == pytest.approx(10 * many._worth_it)
    assert few._worth_it * 20 == pytest.approx(TOLERATED)
    again = pickle.loads(pickle.dumps(many))
    assert again("trial", first(0.6, 1.5, 0.6))


@pytest.mark.long
def test_good_trials_with_a_reward_of_zeros_and_ones_are_hardly_ever_stopped(tmp_path: Path) -> None:
    """Few items often agree by chance, most of all with such scores; 30 finished trials to be compared with."""
    rng = np.random.default_rng(1)
    objectives = Objectives(OBJECTIVES.rewards, (ProbeTerm("facts", "knowledge", "mean"),))
    wrong = good = 0
    for _ in range(40):
        mood, luck = rng.normal(size=100), rng.random(100)

        def make(reward: float, right: float, mood: Any = mood, luck: Any = luck) -> dict[str, NDArray[np.float64]]:
            liked = reward + mood + 0.5 * rng.normal(size=100) > 0
            known = luck + 0.05 * rng.normal(size=100) < right
            return {"reward": liked.astype(float)[:, None], "facts": known.astype(float)[:, None]}

        ratios = [0.0, 1.0, *rng.random(28)]
        models = [make(2 * r**0.7 - 1 - 0.3 * rng.random(), 1 - 0.5 * r - 0.1 * rng.random()) for r in ratios]
        trials = []
        for number, (ratio, model) in enumerate(zip(ratios, models, strict=True)):
            scores = objectives.scores(model, models[0] if number else None)
            trials.append(Trial(number, "complete", "baseline", {"a": ratio}, scores))
        recorder = recorder_of(tmp_path, trials, objectives)
        for number, model in enumerate(models):
            recorder.run.items.write("search", number, model)
        stopper = FutilityStopper(recorder)
        ratio = rng.random()
        better = make(2 * ratio**0.7 - 0.9, 1 - 0.5 * ratio + 0.05)
        whole = Trial(30, "complete", "sampler", {"a": ratio}, objectives.scores(better, models[0]))
        before, with_it = recorder.run.searched_pareto, recorder.run.with_trials([*trials, whole]).searched_pareto
        if before.no_trade or with_it.hypervolume - before.hypervolume < 0.01:
            continue
        good += 1
        parts = [{name: array[: round(share * 100)] for name, array in better.items()} for share in PARTS[:-1]]
        wrong += any(stopper("trial", part(0.5, ratio, some)) for some in parts)
    assert good > 20
    assert wrong / good < 0.1


def stopper_of(recorder: Recorder, **fields: Any) -> FutilityStopper:
    return FutilityStopper(recorder_of(recorder.run.folder, recorder.run.trials, **fields))


def test_what_cannot_satisfy_a_bound_is_stopped(recorder: Recorder) -> None:
    # Better than the front, at a tax of 0.05 with a reward of 2.5.
    assert not stopper_of(recorder, constraints={"tax": "<= 0.15"})("trial", first(0.6, 2.5, 0.95))
    assert stopper_of(recorder, constraints={"tax": "<= 0.01"})("trial", first(0.6, 2.5, 0.95))
    assert stopper_of(recorder, constraints={"reward": ">= 3"})("trial", first(0.6, 2.5, 0.95))


def test_no_trial_is_stopped_for_one_that_breaks_a_bound(recorder: Recorder) -> None:
    # In reward and tax trial 3 beats it; but of `facts`, trial 3 loses 0.2 and this one 0.1.
    well, badly = (TrialResult.from_tune(first(0.6, 2.8, right)) for right in (0.9, 0.6))
    result = replace(well, items={**well.items, "sums": badly.items["sums"]}).to_tune()
    assert not stopper_of(recorder, constraints={"probe.facts": "<= 0.15"})("trial", result)
    assert stopper_of(recorder, constraints={"probe.facts": "<= 0.25"})("trial", result)


def test_what_does_not_reach_the_reference_is_stopped(recorder: Recorder) -> None:
    assert not stopper_of(recorder, reference={"reward": 2.0})("trial", first(0.6, 2.5, 0.95))
    assert stopper_of(recorder, reference={"reward": 3.0})("trial", first(0.6, 2.5, 0.95))
