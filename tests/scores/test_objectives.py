"""Objectives against plain arithmetic on the items."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ama_ray.scores.metrics import METRICS, jackknife
from ama_ray.scores.objectives import Objectives
from ama_ray.scores.terms import ProbeTerm, RewardTerm

ITEMS = st.lists(st.booleans(), min_size=2, max_size=30)
TAX = (
    ProbeTerm("facts", "knowledge", "mean"),
    ProbeTerm("fr", "translation", "mean"),
    ProbeTerm("more", "knowledge", "mean"),
)


def column(values: object) -> NDArray[np.float64]:
    return np.array(values, dtype=float)[:, None]


@given(facts=ITEMS, fr=ITEMS, more=ITEMS, data=st.data())
def test_tax_is_the_mean_over_families_of_the_mean_over_probes(
    facts: list[bool], fr: list[bool], more: list[bool], data: st.DataObject
) -> None:
    base = {"facts": column(facts), "fr": column(fr), "more": column(more)}
    merged = {
        name: column(data.draw(st.lists(st.booleans(), min_size=len(items), max_size=len(items))))
        for name, items in base.items()
    }
    reward = {"reward": column([2, 5.5])}
    objectives = Objectives((RewardTerm("reward", "reward", 1.0, 0),), TAX)
    assert objectives.names == ("reward", "tax")
    scores = objectives.scores(merged | reward, base)

    def lost(name: str) -> NDArray[np.float64]:
        return (base[name] - merged[name])[:, 0]

    def variance(name: str) -> float:
        known = [*lost(name), -1, 1]
        return float(np.var(known, ddof=1)) / len(known)

    tax, won = scores.objectives["tax"], scores.objectives["reward"]
    assert tax.value == pytest.approx(((lost("facts").mean() + lost("more").mean()) / 2 + lost("fr").mean()) / 2)
    assert tax.se**2 == pytest.approx(variance("facts") / 16 + variance("more") / 16 + variance("fr") / 4)
    assert won.value == pytest.approx((2 + 5.5) / 2)
    assert won.se == pytest.approx(np.std([2, 5.5], ddof=1) / 2**0.5)
    result = scores.probes["fr"]
    assert result.score == pytest.approx(merged["fr"].mean())
    assert result.score_se == pytest.approx(np.std([*merged["fr"][:, 0], 0, 1], ddof=1) / (len(fr) + 2) ** 0.5)
    assert result.tax == pytest.approx(lost("fr").mean())
    assert result.tax_se == pytest.approx(variance("fr") ** 0.5)


def test_rewards_of_one_objective_are_added_by_weight_and_paired_where_they_share_prompts() -> None:
    generator = np.random.default_rng(0)
    kind, short, safe = (column(generator.normal(size=n)) for n in (50, 50, 20))
    objectives = Objectives(
        (
            RewardTerm("kind", "helpful", 1.0, 0),
            RewardTerm("safe", "harmless", 1.0, 1),
            RewardTerm("short", "helpful", -0.5, 0),
            RewardTerm("calm", "helpful", 2.0, 1),
        ),
        (TAX[0],),
    )
    items = {"kind": kind, "short": short, "safe": safe, "calm": safe, "facts": column([1, 0])}
    scores = objectives.scores(items, None)
    assert objectives.names == ("helpful", "harmless", "tax")
    together = (kind - 0.5 * short)[:, 0]
    helpful = scores.objectives["helpful"]
    assert helpful.value == pytest.approx(together.mean() + 2 * safe.mean())
    assert helpful.se**2 == pytest.approx(together.var(ddof=1) / 50 + 4 * safe.var(ddof=1) / 20)
    assert scores.objectives["harmless"].value == pytest.approx(safe.mean())
    assert scores.objectives["tax"].value == 0


def test_where_lower_is_better_the_tax_is_the_rise() -> None:
    objectives = Objectives((RewardTerm("r", "r", 1.0, 0),), (ProbeTerm("text", "language", "perplexity"),))
    base = np.array([[10.0, 5.0], [6.0, 4.0], [8.0, 6.0]])
    merged = base + np.array([1.0, 0.0])
    scores = objectives.scores({"r": column([1, 2]), "text": merged}, {"text": base})
    assert scores.probes["text"].score == pytest.approx(np.exp(27 / 15))
    assert scores.probes["text"].tax == pytest.approx(np.exp(27 / 15) - np.exp(24 / 15))
    assert scores.objectives["tax"].value > 0


def test_a_single_item_has_no_error() -> None:
    assert np.isnan(jackknife(METRICS["mean"].without_each(np.ones((1, 1)))))


@pytest.mark.parametrize(("metric", "columns"), [("mean", 1), ("bleu", 10), ("perplexity", 2)])
def test_the_score_of_an_item_is_that_of_a_corpus_of_it_alone(metric: str, columns: int) -> None:
    statistics = np.random.default_rng(1).integers(1, 9, (4, columns)).astype(float)
    objectives = Objectives((RewardTerm("reward", "reward", 1.0, 0),), (ProbeTerm("fr", "translation", metric),))
    found = objectives.of_each_item({"reward": column([1, 2]), "fr": statistics, "replies.reward": column([5, 6])})
    assert found.keys() == {"reward", "fr"}
    assert found["reward"].tolist() == [1, 2]
    assert found["fr"].tolist() == pytest.approx([METRICS[metric].score(each[None]) for each in statistics])
