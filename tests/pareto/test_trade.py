"""How far a trial is between base and aligned, and why there may be nothing between them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ama_ray.errors import UserError
from ama_ray.pareto.pareto_set import ParetoSet
from ama_ray.pareto.trade import Trade, reward_called
from ama_ray.scores.interval import Interval
from tests.support.trials import scores, trial

if TYPE_CHECKING:
    from ama_ray.scores.trial import Trial

NAMES = ("helpful", "harmless", "tax")


def made(number: int, values: tuple[float, ...], ratio: float | None = None) -> Trial:
    return replace(trial(number, 0.0, 0.0, ratio), search=scores(values, names=NAMES))


BASE, ALIGNED = made(0, (1.0, 10.0, 0.0), 0.0), made(1, (5.0, 30.0, 0.4), 1.0)
TRADE = Trade.between([BASE, made(2, (9.0, 9.0, 9.0), 0.5), ALIGNED], NAMES)


def test_base_and_aligned_are_the_uniform_trials_at_0_and_1() -> None:
    assert (TRADE.base, TRADE.aligned) == (BASE, ALIGNED)
    assert TRADE.ends == {"base": BASE, "aligned": ALIGNED}
    assert TRADE.objectives == NAMES
    assert TRADE.why_none == ""


def test_a_share_is_0_at_base_and_1_at_aligned_and_not_clipped() -> None:
    for name in NAMES:
        assert (TRADE.share(BASE, name), TRADE.share(ALIGNED, name)) == (0.0, 1.0)
    beyond = made(3, (7.0, 5.0, -0.1))
    assert [TRADE.share(beyond, name) for name in NAMES] == pytest.approx([1.5, -0.25, -0.25])


@given(st.tuples(*[st.floats(-50, 50)] * 3))
def test_gain_is_the_mean_share_of_the_rewards_and_above_the_line_what_is_more_than_that_of_the_tax(
    values: tuple[float, ...],
) -> None:
    each = made(3, values)
    gain = ((values[0] - 1) / 4 + (values[1] - 10) / 20) / 2
    assert TRADE.gain(each) == pytest.approx(gain, abs=1e-12)
    assert TRADE.above_line(each) == pytest.approx(gain - values[2] / 0.4, abs=1e-9)


def test_the_line_itself_is_not_above_it() -> None:
    between = made(3, (3.0, 20.0, 0.2))
    assert TRADE.gain(between) == pytest.approx(0.5)
    assert TRADE.above_line(between) == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("uniform", "why"),
    [
        ([], "the base model has no complete trial (uniform ratio 0)"),
        ([BASE], "the aligned model has no complete trial (uniform ratio 1)"),
        ([ALIGNED], "the base model has no complete trial (uniform ratio 0)"),
        (
            [BASE, made(1, (5.0, 10.0, 0.4), 1.0)],
            "the aligned model does not raise the reward harmless (aligned minus base 0, 95% interval -0.277 to 0.277)",
        ),
        (
            [BASE, made(1, (5.0, 30.0, -0.01), 1.0)],
            "the aligned model costs no tax (aligned minus base -0.01, 95% interval -0.0377 to 0.0177)",
        ),
        (
            [BASE, made(1, (5.0, 30.0, 0.02), 1.0)],
            "the aligned model costs no tax beyond error (aligned minus base 0.02, 95% interval -0.00772 to 0.0477)",
        ),
        (
            [BASE, made(1, (float("nan"), 30.0, 0.4), 1.0)],
            "the aligned model does not raise the reward helpful (aligned minus base nan, its error is not known)",
        ),
    ],
)
def test_why_there_is_nothing_to_trade(uniform: list[Trial], why: str) -> None:
    assert Trade.between(uniform, NAMES).why_none == why


def test_what_is_missing_is_asked_for_in_vain() -> None:
    trade = Trade.between([BASE], NAMES)
    assert trade.base == BASE
    for ask in (lambda: trade.aligned, lambda: trade.share(BASE, "tax"), lambda: trade.gain(BASE)):
        with pytest.raises(UserError, match=r"^The aligned model has no complete trial \(uniform ratio 1\)\.$"):
            ask()


def test_a_reward_without_a_name_of_its_own_is_called_reward() -> None:
    assert (reward_called("reward"), reward_called("helpful")) == ("reward", "reward helpful")


def test_a_front_has_the_trade_of_its_split() -> None:
    trials = [trial(0, 0.0, 0.0, 0.0, report=(1.0, 0.0)), trial(1, 4.0, 0.4, 1.0, report=(2.0, -0.1))]
    search, report = ParetoSet(trials), ParetoSet(trials, split="report")
    assert search.trade.aligned.reward == 4.0
    assert report.trade.aligned.reward == 2.0
    assert search.no_trade == ""
    assert report.no_trade == report.trade.why_none
    assert report.no_trade.startswith("the aligned model costs no tax (aligned minus base -0.1, ")


def test_items_that_are_paired_decide_where_they_are_known() -> None:
    uniform = [BASE, made(1, (1.2, 30.0, 0.4), 1.0)]
    assert "raise the reward helpful beyond error" in Trade.between(uniform, NAMES).why_none
    assert Trade.between(uniform, NAMES, {"helpful": Interval(0.2, 0.1, 0.3)}).why_none == ""
    paired = Trade.between(uniform, NAMES, {"helpful": Interval(0.2, -0.1, 0.5)})
    assert paired.why_none.endswith("beyond error (aligned minus base 0.2, 95% interval -0.1 to 0.5)")


@pytest.mark.parametrize(
    "ends", [(BASE, made(1, (5.0, 30.0, float("inf")), 1.0)), (made(0, (1.0, float("-inf"), 0.0), 0.0), ALIGNED)]
)
def test_there_is_no_box_with_an_infinite_end(ends: tuple[Trial, Trial]) -> None:
    assert Trade.between(ends, NAMES).why_none.endswith("of base or aligned is infinite")
