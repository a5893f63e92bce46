"""The test of base against aligned: against scipy's t tests, and by simulation of pairs whose truth is known."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import stats

from ama_ray.analysis.trade_test import SIZES, TradeTest, expected
from ama_ray.scores.objectives import Items, Objectives
from ama_ray.scores.terms import ProbeTerm, RewardTerm

if TYPE_CHECKING:
    from numpy.typing import NDArray

REWARD = RewardTerm("reward", "reward", 1.0, 0)
PROBES = (
    ProbeTerm("piqa", "common sense", "mean"),
    ProbeTerm("arc", "common sense", "mean"),
    ProbeTerm("squad", "reading", "mean"),
)
OBJECTIVES = Objectives((REWARD,), PROBES)


def column(values: Any) -> NDArray[np.float64]:
    return np.asarray(values, float)[:, None]


def pair(
    draw: np.random.Generator, count: int, *, gain: float = 0.0, lost: float = 0.0, disagreeing: float = 0.1
) -> tuple[Items, Items]:
    """Items of base and aligned, which answer some of a probe's items differently; of those, `lost` more are lost."""
    reward = draw.normal(size=count)
    base, aligned = {"reward": column(reward)}, {"reward": column(reward + gain + 0.5 * draw.normal(size=count))}
    for term in PROBES:
        right = draw.random(count)
        kind = draw.random(count)
        worse, better = kind < (disagreeing + lost) / 2, kind > 1 - (disagreeing - lost) / 2
        before = np.where(worse, 1, np.where(better, 0, right < 0.6))
        base[term.name] = column(before)
        aligned[term.name] = column(np.where(worse, 0, np.where(better, 1, before)))
    return base, aligned


def test_a_gain_is_tested_as_scipy_tests_paired_samples() -> None:
    base, aligned = pair(np.random.default_rng(0), 30, gain=0.2)
    gain = TradeTest.of(OBJECTIVES, base, aligned).gains[0]
    found = stats.ttest_rel(aligned["reward"][:, 0], base["reward"][:, 0])
    interval = found.confidence_interval(0.95)
    assert (gain.interval.low, gain.interval.high) == pytest.approx((interval.low, interval.high))
    assert (gain.verdict == "clear") == (found.pvalue < 0.05)
    seen = np.concatenate([base["reward"], aligned["reward"]])
    assert gain.scale == pytest.approx(np.ptp(seen))
    assert gain.sizes == pytest.approx({"seen": gain.value} | {f"{size:g}": size * np.ptp(seen) for size in SIZES})


def test_rewards_on_several_sets_of_prompts_are_added_as_welch_adds_them() -> None:
    terms = (RewardTerm("kind", "r", 2.0, 0), RewardTerm("safe", "r", -1.0, 1), RewardTerm("short", "r", 0.5, 0))
    draw = np.random.default_rng(1)
    base, aligned = (
        {"kind": draw.normal(size=(40, 1)), "safe": draw.normal(size=(9, 1)), "short": draw.normal(size=(40, 1))}
        for _ in range(2)
    )
    facts = {"piqa": column(np.arange(20) % 2)}
    test = TradeTest.of(Objectives(terms, PROBES[:1]), base | facts, aligned | facts)
    first = ((aligned["kind"] - base["kind"]) * 2 + (aligned["short"] - base["short"]) * 0.5)[:, 0]
    second = (base["safe"] - aligned["safe"])[:, 0]
    (gain,) = test.gains
    # A sum of two means is the difference of one and minus the other.
    welch = stats.ttest_ind(first, -second, equal_var=False).confidence_interval(0.95)
    assert gain.value == pytest.approx(first.mean() + second.mean())
    assert (gain.interval.low, gain.interval.high) == pytest.approx((welch.low, welch.high))
    assert gain.precision.items == {"kind": 40, "safe": 9}


def test_the_values_are_those_of_the_run() -> None:
    base, aligned = pair(np.random.default_rng(2), 60, gain=0.4, lost=0.05)
    test, scores = TradeTest.of(OBJECTIVES, base, aligned), OBJECTIVES.scores(aligned, base)
    assert test.tax.value == pytest.approx(scores.objectives["tax"].value)
    assert {probe.name: probe.value for probe in test.probes} == pytest.approx(
        {name: probe.tax for name, probe in scores.probes.items()}
    )
    assert test.tax.se == pytest.approx(scores.objectives["tax"].se)


@pytest.mark.parametrize("metric", ["perplexity", "bits-per-byte", "bleu", "calibration"])
def test_other_metrics_have_the_error_of_the_jackknife(metric: str) -> None:
    draw = np.random.default_rng(3)
    width = {"bleu": 10, "calibration": 4}.get(metric, 2)
    if metric == "bleu":
        # Lengths of reply and reference, then matches and counts of one to four words.
        counts = np.array([9, 9, 9, 8, 7, 6])
        both = [
            np.column_stack([np.tile(counts[:2], (40, 1)), draw.integers(2, 6, (40, 4)), np.tile(counts[2:], (40, 1))])
        ] * 2
        both[1] = both[1].copy()
        both[1][:, 2:6] -= draw.integers(0, 2, (40, 4))
    else:
        both = [draw.normal(5, 1, (40, width)) for _ in range(2)]
    base, aligned = (column(each)[:, 0] for each in both)
    term = ProbeTerm("p", "f", metric)
    items = {"reward": draw.normal(size=(9, 1))}
    found = TradeTest.of(Objectives((REWARD,), (term,)), items | {"p": base}, items | {"p": aligned}).probes[0]
    result = Objectives((REWARD,), (term,)).scores(items | {"p": aligned}, items | {"p": base}).probes["p"]
    assert found.value == pytest.approx(result.tax)
    assert found.se == pytest.approx(result.tax_se)


def test_few_items_that_all_agree_are_no_certainty() -> None:
    same = column(np.ones(16))
    items = {"reward": column(np.arange(16))} | {term.name: same for term in PROBES}
    test = TradeTest.of(OBJECTIVES, items, items)
    assert test.tax.value == 0
    # One difference of 1 and one of -1 among 18.
    assert test.probes[0].se == pytest.approx(np.std([0] * 16 + [1, -1], ddof=1) / 18**0.5)
    assert test.probes[0].interval.high > 0.15
    assert [part.verdict for part in test.missing] == ["unclear", "unclear"]
    # No number of prompts shows a difference between replies that are the same.
    assert test.gains[0].precision.items_for(test.gains[0].value) is None


def test_two_prompts_that_agree_are_no_certainty_but_twenty_are() -> None:
    for count, clear in ((2, False), (20, True)):
        base = {"reward": column(np.zeros(count))} | {term.name: column(np.ones(50)) for term in PROBES}
        aligned = base | {"reward": column(np.ones(count))}
        gain = TradeTest.of(OBJECTIVES, base, aligned).gains[0]
        assert gain.value == 1
        assert (gain.verdict == "clear") == clear


def test_one_item_has_no_interval_and_is_not_clear() -> None:
    base, aligned = pair(np.random.default_rng(4), 1, gain=9.0)
    test = TradeTest.of(OBJECTIVES, base, aligned)
    assert len(test.missing) == 2
    assert math.isnan(test.tax.interval.low)


def test_what_alignment_made_worse_is_reversed() -> None:
    base, aligned = pair(np.random.default_rng(5), 200, gain=1.0, lost=0.1, disagreeing=0.2)
    assert TradeTest.of(OBJECTIVES, base, aligned).clear
    back = TradeTest.of(OBJECTIVES, aligned, base)
    assert [part.verdict for part in back.missing] == ["reversed", "reversed"]


@pytest.mark.long
@pytest.mark.parametrize("count", [16, 50, 200])
@pytest.mark.parametrize("lost", [0.0, 0.04, 0.1])
def test_intervals_of_a_tax_hold_the_truth(count: int, lost: float) -> None:
    draw = np.random.default_rng(count)
    held = {"tax": 0, "piqa": 0, "reward": 0}
    runs = 400
    for _ in range(runs):
        test = TradeTest.of(OBJECTIVES, *pair(draw, count, gain=0.3, lost=lost))
        for part, truth in ((test.tax, lost), (test.probes[0], lost), (test.gains[0], 0.3)):
            held[part.name] += part.interval.low <= truth <= part.interval.high
    # Wider than promised where two pseudo-observations are a good part of 16 items.
    assert all(hits / runs >= 0.925 for hits in held.values()), held
    if count >= 200:
        assert all(hits / runs <= 0.985 for hits in held.values()), held


@pytest.mark.long
def test_a_pair_without_a_trade_is_unclear_nearly_always_and_a_clear_one_never() -> None:
    draw = np.random.default_rng(6)
    nothing = [TradeTest.of(OBJECTIVES, *pair(draw, 100)).clear for _ in range(400)]
    # Both would have to be above 0 by luck.
    assert sum(nothing) <= 2
    only_reward = [TradeTest.of(OBJECTIVES, *pair(draw, 100, gain=1.0)).clear for _ in range(400)]
    assert sum(only_reward) / 400 == pytest.approx(0.025, abs=0.02)
    assert all(
        TradeTest.of(OBJECTIVES, *pair(draw, 100, gain=1.0, lost=0.2, disagreeing=0.3)).clear for _ in range(400)
    )


@pytest.mark.long
def test_what_is_promised_before_a_run_is_found_in_it() -> None:
    draw, count = np.random.default_rng(7), 150
    promised = expected(OBJECTIVES, {"reward": count} | {term.name: count for term in PROBES})
    assert promised.keys() == {"reward", "tax", "piqa", "arc", "squad"}
    gain = promised["reward"].smallest * 0.5  # the standard deviation of a prompt's difference in `pair`
    found = []
    for _ in range(400):
        test = TradeTest.of(OBJECTIVES, *pair(draw, count, gain=gain, lost=promised["tax"].smallest))
        found.append([test.gains[0].verdict == "clear", test.tax.verdict == "clear"])
    assert np.mean(found, axis=0) == pytest.approx([0.8, 0.8], abs=0.06)


def test_what_is_not_bounded_is_not_known_before() -> None:
    objectives = Objectives((REWARD,), (PROBES[0], ProbeTerm("prose", "language", "perplexity")))
    promised = expected(objectives, {"reward": 1, "piqa": 50, "prose": 50})
    assert math.isnan(promised["prose"].smallest)
    assert math.isnan(promised["tax"].smallest)
    assert math.isnan(promised["reward"].smallest)
    assert promised["piqa"].smallest > 0


def test_nothing_is_promised_for_items_that_nobody_has_counted() -> None:
    """As those of a command."""
    without_one = {"reward": 20} | {term.name: 50 for term in PROBES[1:]}
    assert expected(OBJECTIVES, without_one).keys() == {"reward", *(term.name for term in PROBES[1:])}
    assert expected(OBJECTIVES, {}) == {}
