"""Comparisons against scipy's bootstrap, plain arithmetic, and a truth that is known."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ama_ray.analysis import bootstrap
from ama_ray.analysis.bootstrap import candidates, compare
from ama_ray.config import RunConfig
from ama_ray.scores.families import family_scores
from ama_ray.scores.interval import Interval
from ama_ray.scores.objectives import Objectives, ProbeTerm, RewardTerm
from ama_ray.scores.trial import Estimate, ProbeResult, Scores, Trial
from tests.support.trials import scores

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Model = dict[str, NDArray[np.float64]]

OBJECTIVES = Objectives(
    (
        RewardTerm("kind", "helpful", 1.0, "prompts"),
        RewardTerm("short", "helpful", 0.5, "prompts"),
        RewardTerm("safe", "harmless", 1.0, "others"),
    ),
    (
        ProbeTerm("facts", "knowledge", "mean"),
        ProbeTerm("more", "knowledge", "mean"),
        ProbeTerm("text", "language", "perplexity"),
    ),
)
SIZES = {"kind": 60, "short": 60, "safe": 45, "facts": 80, "more": 50, "text": 70}


def model(draw: np.random.Generator, skill: float, common: Model | None = None) -> Model:
    """Items of a model; `common` is what items have in common, so that models are correlated."""
    common = common or {name: draw.normal(size=size) for name, size in SIZES.items()}
    items = {name: skill + common[name] + draw.normal(size=size) for name, size in SIZES.items()}
    tokens = np.linspace(20, 60, SIZES["text"])
    right = {name: (items[name] > 0).astype(float)[:, None] for name in ("facts", "more")}
    text = np.stack([tokens * np.exp(0.5 - 0.2 * items["text"]), tokens], axis=1)
    return {name: items[name][:, None] for name in ("kind", "short", "safe")} | right | {"text": text}


def pair(seed: int) -> tuple[Model, Model]:
    draw = np.random.default_rng(seed)
    common = {name: draw.normal(size=size) for name, size in SIZES.items()}
    return model(draw, 0.4, common), model(draw, 0.1, common)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000))
def test_values_are_differences_of_the_scores(seed: int) -> None:
    a, b = pair(seed)
    base = model(np.random.default_rng(7), 0.0)
    found = compare(OBJECTIVES, a, b, resamples=3)
    ours, theirs = (OBJECTIVES.scores(items, base) for items in (a, b))
    for name in OBJECTIVES.names:
        difference = ours.objectives[name].value - theirs.objectives[name].value
        assert found.objectives[name].value == pytest.approx(difference, abs=1e-9)
    for name, result in ours.probes.items():
        assert found.probes[name].value == pytest.approx(result.score - theirs.probes[name].score, abs=1e-9)
    for name, score in family_scores(OBJECTIVES, ours).items():
        difference = score.value - family_scores(OBJECTIVES, theirs)[name].value
        assert found.families[name].value == pytest.approx(difference, abs=1e-9)


def perplexity(nats: NDArray[np.float64], tokens: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    return np.asarray(np.exp(nats.sum(axis=axis) / tokens.sum(axis=axis)))


def test_intervals_agree_with_scipy() -> None:
    a, b = pair(3)
    found = compare(OBJECTIVES, a, b, resamples=20_000)
    options = {"paired": True, "method": "percentile", "n_resamples": 20_000, "rng": np.random.default_rng(1)}
    facts = stats.bootstrap(
        (a["facts"][:, 0], b["facts"][:, 0]), lambda x, y, axis: x.mean(axis) - y.mean(axis), **options
    ).confidence_interval
    text = stats.bootstrap(
        (*a["text"].T, *b["text"].T),
        lambda n, t, m, u, axis: perplexity(n, t, axis) - perplexity(m, u, axis),
        **options,
    ).confidence_interval
    helpful = stats.bootstrap(
        ((a["kind"] - b["kind"] + 0.5 * (a["short"] - b["short"]))[:, 0],), np.mean, **(options | {"paired": False})
    ).confidence_interval
    for ours, theirs in ((found.probes["facts"], facts), (found.probes["text"], text)):
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.05 * (ours.high - ours.low))
    ours = found.objectives["helpful"]
    assert (ours.low, ours.high) == pytest.approx((helpful.low, helpful.high), abs=0.05 * (ours.high - ours.low))


def test_the_spread_of_sums_over_probes_is_that_of_the_jackknife() -> None:
    a, b = pair(4)
    tax = compare(OBJECTIVES, a, b, resamples=20_000).objectives["tax"]
    error = OBJECTIVES.scores(a, b).objectives["tax"].se  # b as base: the tax is the difference
    assert (tax.high - tax.low) / 2 == pytest.approx(1.96 * error, rel=0.1)


def test_95_percent_of_the_intervals_hold_the_truth() -> None:
    runs = 300
    held = dict.fromkeys(("helpful", "tax", "facts", "knowledge", "one"), 0)
    # The truth of what `model` makes, from a sample so large that its error does not matter.
    large = np.random.default_rng(0).normal(size=(2, 2_000_000))
    facts = [(large.sum(axis=0) > -skill).mean() for skill in (0.4, 0.1)]
    losses = [np.exp(np.exp(0.5 - 0.2 * (skill + large.sum(axis=0))).mean()) for skill in (0.4, 0.1)]
    right = facts[0] - facts[1]
    truth = {"helpful": 0.45, "tax": (losses[0] - losses[1] - right) / 2, "facts": right, "knowledge": right}
    for seed in range(runs):
        a, b = pair(seed)
        found = compare(OBJECTIVES, a, b, seed=seed, resamples=500)
        for name, interval in (found.objectives | found.families | found.probes).items():
            if name in truth:
                held[name] += interval.low <= truth[name] <= interval.high
        alone = Interval.normal(OBJECTIVES.scores(a, b).objectives["harmless"])
        held["one"] += alone.low <= 0.4 <= alone.high
    for name, count in held.items():
        # 95% of 300 are 285, with a standard deviation of 3.8.
        assert 0.91 * runs <= count <= 0.98 * runs, (name, count)


def test_the_same_items_are_drawn_for_both() -> None:
    a, _ = pair(5)
    same = compare(OBJECTIVES, a, a)
    assert {(i.value, i.low, i.high) for i in (same.objectives | same.probes).values()} == {(0.0, 0.0, 0.0)}
    assert not same.objectives["tax"].significant
    shifted = compare(OBJECTIVES, a | {"safe": a["safe"] + 1}, a).objectives["harmless"]
    assert (shifted.value, shifted.low, shifted.high) == pytest.approx((1, 1, 1))
    assert shifted.significant


def test_the_other_way_round_is_the_same_with_the_signs_changed() -> None:
    a, b = pair(6)
    there, back = compare(OBJECTIVES, a, b, seed=1), compare(OBJECTIVES, b, a, seed=1)
    for name, interval in there.objectives.items():
        other = back.objectives[name]
        assert (interval.value, interval.low, interval.high) == pytest.approx((-other.value, -other.high, -other.low))


def test_blocks_of_resamples_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = pair(7)
    whole = compare(OBJECTIVES, a, b, resamples=50)
    monkeypatch.setattr(bootstrap, "_BLOCK", 700)
    # Only the last digits, as sums are rounded otherwise.
    assert vars(compare(OBJECTIVES, a, b, resamples=50))["objectives"]["tax"].low == pytest.approx(
        whole.objectives["tax"].low
    )


def test_what_is_not_known_is_nan_and_significant_is_nothing() -> None:
    a, b = pair(8)
    single = {name: items[:1] for name, items in a.items()}
    one = compare(OBJECTIVES, single, {name: items[:1] for name, items in b.items()}).objectives["helpful"]
    assert math.isfinite(one.value)
    assert math.isnan(one.low)
    assert not one.significant
    lacking = a | {"safe": np.where(np.arange(45)[:, None] == 3, np.nan, a["safe"])}
    broken = compare(OBJECTIVES, lacking, b).objectives
    assert math.isnan(broken["harmless"].value)
    assert math.isnan(broken["harmless"].high)
    assert math.isfinite(broken["helpful"].low)


def test_a_resample_without_a_token_is_left_out() -> None:
    rare = np.array([[2.0, 4.0], [0.0, 0.0], [0.0, 0.0]])
    found = compare(OBJECTIVES, *(items | {"text": rare} for items in pair(9))).probes["text"]
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_family_scores_are_means_with_their_errors() -> None:
    probes = {name: ProbeResult(score, 0.1, 0.0, 0.0) for name, score in (("facts", 0.5), ("more", 0.7), ("text", 9.0))}
    found = family_scores(OBJECTIVES, Scores({}, probes))
    assert found["knowledge"].value == pytest.approx(0.6)
    assert found["knowledge"].se == pytest.approx(0.1 / 2**0.5)
    assert found["language"] == Estimate(9.0, 0.1)
    del probes["more"]
    assert math.isnan(family_scores(OBJECTIVES, Scores({}, probes))["knowledge"].value)


def searched(models: Sequence[Model], baselines: int) -> list[Trial]:
    trials = []
    for number, items in enumerate(models):
        ratio = number / max(1, baselines - 1)
        ratios = {"a": ratio, "b": ratio} if number < baselines else {"a": 0.1, "b": 0.2}
        origin = "baseline" if number < baselines else "sampler"
        trials.append(Trial(number, "complete", origin, ratios, OBJECTIVES.scores(items, models[0])))  # type: ignore[arg-type]
    return trials


def error_of(name: str, a: Model, b: Model) -> float:
    """The paired standard error of a difference, from the objectives themselves: b stands for base."""
    if name == "tax":
        return OBJECTIVES.scores(a, b).objectives["tax"].se
    return (
        OBJECTIVES.scores({key: a[key] - b[key] if a[key].shape[1] == 1 else a[key] for key in a}, b)
        .objectives[name]
        .se
    )


def beaten_beyond_doubt(number: int, trials: Sequence[Trial], models: Sequence[Model]) -> bool:
    def surely(name: str, other: int) -> bool:
        sign = -1 if name == "tax" else 1
        ours, theirs = (trials[i].objectives[name].value for i in (number, other))
        return sign * (theirs - ours) > 1.645 * error_of(name, models[other], models[number])

    others = [other for other in range(len(trials)) if other != number]
    return any(all(surely(name, other) for name in OBJECTIVES.names) for other in others)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 1000))
def test_candidates_are_what_no_other_beats_beyond_doubt(seed: int) -> None:
    draw = np.random.default_rng(seed)
    common = {name: draw.normal(size=size) for name, size in SIZES.items()}
    models = [model(draw, skill, common) for skill in draw.uniform(0, 1, 12)]
    trials = searched(models, baselines=3)
    found = candidates(trials, OBJECTIVES, dict(enumerate(models)), most=100)
    expected = {t.number for t in trials[3:] if not beaten_beyond_doubt(t.number, trials, models)}
    assert len({trial.number for trial in found}) == len(found)
    assert {trial.number for trial in found} == expected
    fewer = candidates(trials, OBJECTIVES, dict(enumerate(models)), most=3)
    assert len(fewer) == min(3, len(found))


def at(number: int, reward: float, tax: float, ratio: float | None = None) -> tuple[Trial, Model]:
    """A trial and items that differ from any other's by a constant: every difference is beyond doubt."""
    ratios = {"a": 0.1, "b": 0.3} if ratio is None else {"a": ratio, "b": ratio}
    made = Trial(number, "complete", "sampler" if ratio is None else "baseline", ratios, scores((reward, tax)))
    return made, {"reward": np.full((9, 1), reward), "qa": np.full((9, 1), -tax)}


PLAIN = Objectives((RewardTerm("reward", "reward", 1.0, "prompts"),), (ProbeTerm("qa", "qa", "mean"),))


def test_the_front_comes_first_and_the_widest_part_of_it() -> None:
    front = [at(n, n / 10, (n / 10) ** 3) for n in range(1, 10)]
    crowd = [at(20 + n, 0.5 + n / 1000, 0.125 + n / 1000) for n in range(1, 9)]
    beaten = at(50, 0.2, 0.9)
    ends = [at(0, 0.0, 0.0, 0.0), at(99, 1.0, 1.0, 1.0)]
    made = [*ends, beaten, *crowd, *front]
    trials, items = [trial for trial, _ in made], {trial.number: items for trial, items in made}
    every = [trial.number for trial in candidates(trials, PLAIN, items, most=30)]
    assert set(every) == {*range(1, 10), *range(21, 29)}
    few = [trial.number for trial in candidates(trials, PLAIN, items, most=5)]
    # Of a crowd on one spot at most one, where others win more.
    assert len(few) == 5
    assert sum(number in (5, *range(21, 29)) for number in few) <= 1
    stopped = [Trial(60, "stopped", "sampler", {"a": 0.1, "b": 0.3}, scores((9.0, -9.0)))]
    assert [t.number for t in candidates([*trials, *stopped], PLAIN, items, most=30)] == every


def test_the_least_dominated_come_after_the_front() -> None:
    draw = np.random.default_rng(1)
    noise = draw.normal(size=(4, 50, 1))
    made = [at(0, 0.0, 0.0, 0.0), at(9, 1.0, 1.0, 1.0), at(1, 0.8, 0.1), at(2, 0.7, 0.11), at(3, 0.79, 0.11)]
    trials = [trial for trial, _ in made]
    # Differences of noise alone, of which the standard error is about 0.2.
    items = {t.number: {"reward": noise[i % 4], "qa": noise[(i + 1) % 4]} for i, t in enumerate(trials)}
    assert [trial.number for trial in candidates(trials, PLAIN, items, most=9)] == [1, 3, 2]
    assert [trial.number for trial in candidates(trials, PLAIN, items, most=2)] == [1, 3]


def with_tax_error(made: Trial, tax: float, error: float) -> Trial:
    return replace(made, search=scores((made.reward, tax), (0.1, error)))


def test_constraints_leave_out_what_breaks_them_beyond_doubt(tmp_path: Path) -> None:
    run = RunConfig.from_arguments(
        base="org/base",
        aligned="org/aligned",
        reward={"kind": "function", "prompts": {"file": "p.jsonl"}, "scorer": "s.py:score"},
        tax=[{"kind": "choice", "name": "qa", "family": "qa", "file": "a.jsonl"}],
        constraints={"tax": "<= 0.2"},
        out=tmp_path,
    )
    ends = [at(0, 0.0, 0.0, 0.0), at(9, 1.0, 1.0, 1.0)]
    made = [at(1, 0.5, 0.1), at(2, 0.9, 0.21), at(3, 0.95, 0.3), at(4, 0.6, 0.19), at(5, 0.55, 0.195), at(6, 0.4, 0.15)]
    items = {trial.number: items for trial, items in [*ends, *made]}
    errors = {1: 0.001, 2: 0.02, 3: 0.02, 4: 0.02, 5: 0.001, 6: 0.001}
    trials = [trial for trial, _ in ends] + [with_tax_error(t, t.tax, errors[t.number]) for t, _ in made]
    found = [trial.number for trial in candidates(trials, PLAIN, items, most=9, config=run)]
    # The front is 1 and 4. The bound is broken by 2 within error and by 3 beyond doubt. What dominates 5 is 4, which
    # could break the bound itself; what dominates 6 is 1, which does not.
    assert found[:2] == [1, 4]
    assert set(found) == {1, 4, 2, 5}
    assert {t.number for t in candidates(trials, PLAIN, items, most=9)} == {1, 2, 3, 4}


def test_candidates_of_nothing_are_none() -> None:
    assert candidates([], PLAIN, {}, most=5) == []
