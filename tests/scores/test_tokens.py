"""Tokens per reply: counted with their error, an objective that is minimised, a bound."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ama_ray.errors import UserError
from ama_ray.pareto.hypervolume import hypervolume
from ama_ray.pareto.pareto_set import ParetoSet
from ama_ray.scores.constraints import Constraints
from ama_ray.scores.metrics import mean_error
from ama_ray.scores.objectives import Objectives, replies_of
from ama_ray.scores.terms import ProbeTerm, RewardTerm, TokensTerm
from ama_ray.scores.tokens import box, minimised, rewards_of, turned
from ama_ray.scores.trial import Replies, Scores, Trial
from ama_ray.tuning.samplers.outcomes import Outcomes
from tests.support.constrained import config
from tests.support.trials import scores, trial

NAMES = ("reward", "tokens", "tax")
OBJECTIVES = Objectives(
    (RewardTerm("reward", "reward", 1.0, 0),), (ProbeTerm("sums", "math", "mean"),), TokensTerm("sums", True)
)
ITEMS = {
    "reward": np.array([[1.0], [3.0]]),
    "sums": np.array([[1.0], [0.0], [1.0]]),
    replies_of("reward"): np.array([[5.0, 0.0], [7.0, 0.0]]),
    replies_of("sums"): np.array([[100.0, 0.0], [300.0, 0.5], [200.0, 1.0]]),
}


def told(reward: float, tokens: float, tax: float) -> Scores:
    found = scores((reward, tokens, tax), (0.1, 5.0, 0.01), NAMES)
    return replace(found, replies={"sums": Replies(tokens, 5.0, 0.0)})


def made(number: int, ratio: float | None, *values: float) -> Trial:
    return replace(trial(number, 0.0, 0.0, ratio), search=told(*values))


POINTS = [
    made(0, 0.0, 0.0, 200.0, 0.0),
    made(1, 1.0, 4.0, 1000.0, 0.4),
    made(2, 0.5, 2.0, 600.0, 0.3),
    made(3, None, 3.9, 990.0, 0.1),
    made(4, None, 3.0, 300.0, 0.1),
    made(5, None, 2.9, 310.0, 0.1),
]
BOUNDED = Constraints.parse({"tokens": "<= 800"}, OBJECTIVES)


def test_replies_are_counted_by_item_with_their_error() -> None:
    found = OBJECTIVES.scores(ITEMS, None)
    assert found.replies == {
        "reward": Replies(6.0, 1.0, 0.0),
        "sums": Replies(200.0, mean_error(np.array([100.0, 300, 200])), 0.5),
    }
    assert tuple(found.objectives) == NAMES
    assert found.objectives["tokens"].value == 200
    assert found.objectives["tokens"].se == found.replies["sums"].tokens_se
    # They survive trials.csv.
    row = {key: str(value) for key, value in replace(trial(0, 0, 0), search=found).to_row().items()}
    assert Trial.from_row(row).search == found
    bare = replace(OBJECTIVES, tokens=TokensTerm("sums"))
    assert tuple(bare.scores(ITEMS, None).objectives) == ("reward", "tax")


def test_fewer_are_better() -> None:
    front = ParetoSet(POINTS)
    assert front.objectives == NAMES
    assert [point.number for point in front] == [0, 3, 4, 1]
    assert front.trade.why_none == ""
    assert front.reference == {"reward": 0.0, "tokens": 1000.0, "tax": 0.4}


def test_what_they_save_is_a_share_of_the_wordier_end() -> None:
    front = ParetoSet(POINTS)
    shares = [front.trade.share(point, "tokens") for point in (POINTS[0], POINTS[1], POINTS[4])]
    assert shares == pytest.approx([0.8, 0.0, 0.7])
    saved = [[p.objectives["reward"].value, 1000 - p.objectives["tokens"].value, p.tax] for p in POINTS]
    assert front.hypervolume == pytest.approx(hypervolume(saved, (0, 0, 0), (4, 1000, 0.4)))
    # Base and aligned may say as much.
    equal = [replace(p, search=told(p.reward, 500.0, p.tax)) for p in POINTS]
    assert ParetoSet(equal).hypervolume == pytest.approx(0.0)
    assert ParetoSet(equal).no_trade == ""


def test_a_bound_leaves_points_out_and_picks_by_it() -> None:
    front = ParetoSet(POINTS, BOUNDED)
    assert [point.number for point in front.left_out] == [1, 3]
    everything = ParetoSet(POINTS, Constraints(tokens_of="sums"))
    assert everything.pick(max_tokens=800, max_tax=0.2).number == 4
    assert everything.pick(max_tokens=250).number == 0
    with pytest.raises(UserError, match=r"at most 100 tokens per reply; the least, 200, has trial 0"):
        everything.pick(max_tokens=100)
    with pytest.raises(UserError, match=r"has not counted"):
        ParetoSet(POINTS, Constraints(tokens_of="other")).pick(max_tokens=100)


def test_a_sampler_models_them() -> None:
    seen = [p.search for p in POINTS if p.search]
    probed = [replace(s, probes=OBJECTIVES.scores(ITEMS, None).probes) for s in seen]
    outcomes = Outcomes(probed, OBJECTIVES)
    assert outcomes.objectives[:, 1].tolist() == pytest.approx([-s.objectives["tokens"].value for s in seen])
    assert outcomes.excess("tokens", outcomes.modelled, BOUNDED).tolist() == pytest.approx(
        [s.objectives["tokens"].value - 800 for s in seen]
    )
    # Bounded only, they are an outcome and no objective.
    bare = replace(OBJECTIVES, tokens=TokensTerm("sums"))
    two = [replace(s, objectives={n: s.objectives[n] for n in ("reward", "tax")}) for s in probed]
    bounded = Outcomes(two, bare, bounded_tokens=True)
    assert bounded.objectives.shape == (len(seen), 2)
    assert bounded.excess("tokens", bounded.modelled, BOUNDED).tolist() == pytest.approx(
        [s.objectives["tokens"].value - 800 for s in seen]
    )


def test_arrays_are_turned_and_boxed() -> None:
    assert turned(NAMES, [[1, 2, 3]]).tolist() == [[1, -2, 3]]
    low, high = box(NAMES, [0, -5, 0], [1, -9, 2])
    assert (low.tolist(), high.tolist()) == ([0, -9, 0], [1, 0, 2])
    assert rewards_of(NAMES) == ("reward",)
    assert list(map(minimised, NAMES)) == [False, True, True]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tokens": {"of": "nothing"}}, r"tokens\.of: there is no 'nothing'; there are reward, arc"),
        (
            {
                "tokens": {"objective": True},
                "reward": [
                    {"kind": "function", "name": n, "objective": n, "prompts": {"file": "p.jsonl"}, "scorer": "s.py:s"}
                    for n in ("one", "two", "three")
                ],
            },
            r"one, two, three, tokens, tax are more than 4",
        ),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        config(**changes)


def test_they_may_be_bounded_without_being_an_objective() -> None:
    run = config(constraints={"tokens": "<= 800"})
    assert (run.objectives, run.tokens_of) == (("reward", "tax"), "reward")
    assert config(tokens={"of": "gsm8k", "objective": True}).objectives == NAMES
