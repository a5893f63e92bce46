"""Scores of several replies to an item, against all that could be drawn of them."""

from itertools import combinations
from statistics import mean
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ama_ray.config import Drawing
from ama_ray.data.prompting import Prompting
from ama_ray.engine.replies import Reply
from ama_ray.errors import UserError
from ama_ray.probes import samples
from ama_ray.probes.exact import Exact
from ama_ray.probes.f1 import F1
from ama_ray.probes.generated import GeneratedKind
from ama_ray.probes.number import Number
from ama_ray.probes.translation import Bleu
from ama_ray.scores.metrics import METRICS, mean_error
from tests.support.probe_items import TextTokenizer, rows
from tests.support.replies import said

DRAWN = {"temperature": 0.7, "n": 4}


def built(kind: GeneratedKind, *answers: Any) -> Any:
    fields = [{"prompt": f"q {i}", "answer": answer} for i, answer in enumerate(answers)]
    return kind.build("p", rows(*fields), Prompting(TextTokenizer(), seed=3), None)


@given(
    st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=8).flatmap(
        lambda scores: st.tuples(st.just(scores), st.integers(1, len(scores)))
    )
)
def test_pass_at_k_is_the_share_of_all_drawings_with_a_right_reply(drawn: tuple[list[float], int]) -> None:
    scores, k = drawn
    brute = mean(max(each) for each in combinations(scores, k))
    assert samples.pass_at([None] * len(scores), scores, k) == pytest.approx(brute)


def test_pass_at_k_is_without_bias() -> None:
    # Of one reply that is right with a chance of 0.3, pass@3 is 1 - 0.7 ** 3, however many replies there are.
    n, k, chance = 6, 3, 0.3
    outcomes = [[float(i >> bit & 1) for bit in range(n)] for i in range(2**n)]
    weights = [chance ** sum(each) * (1 - chance) ** (n - sum(each)) for each in outcomes]
    expected = sum(w * samples.pass_at([None] * n, each, k) for w, each in zip(weights, outcomes, strict=True))
    assert expected == pytest.approx(1 - 0.7**k)


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        (["7", "7.0", "8", "9"], 1),
        (["7", "8", "8", "none"], 0),
        (["7", "8", "none", "none"], 0.5),
        (["none"] * 4, 0),
        (["7", "none", "none", "none"], 1),
    ],
)
def test_the_answer_of_the_majority_counts(replies: list[str], expected: float) -> None:
    items = built(Number(sampling=Drawing(**DRAWN), metric="maj"), "7")
    assert items.statistics(said([replies]), []).tolist() == [[expected]]


def test_a_reply_that_was_cut_off_is_wrong_and_has_no_vote() -> None:
    cut = Reply("", "5 and 7 make 12", "length", 9, cut_off=True)
    replies = [[Reply("12"), cut, cut, Reply("3")]]
    for metric, expected in (("avg", 0.25), ("pass@2", 0.5), ("maj", 0.5)):
        items = built(Number(sampling=Drawing(**DRAWN), metric=metric), "12")
        assert items.statistics(replies, []).tolist() == [[expected]]
    # Not even where nothing is the right answer.
    assert built(Exact(), "").statistics([[cut]], []).tolist() == [[0]]


def test_errors_are_those_of_the_items() -> None:
    items = built(Number(sampling=Drawing(**DRAWN)), *"7777")
    statistics = items.statistics(said([["7", "7", "1", "1"]] * 2 + [["7"] * 4, ["1"] * 4]), [])
    assert METRICS["mean"].score(statistics) == 0.5
    assert METRICS["mean"].standard_error(statistics) == mean_error(np.array([0.5, 0.5, 1, 0]), (0, 1))


def test_requests_of_an_item_are_the_same_in_every_part() -> None:
    kind = Number(sampling=Drawing(**DRAWN), max_tokens=8)
    whole = built(kind, "7", "8", "9").requests
    assert {(r.n, r.temperature, r.max_tokens) for r in whole} == {(4, 0.7, 8)}
    assert len({r.seed for r in whole}) == 3
    assert kind.requests(rows({"prompt": "q 2"}), Prompting(TextTokenizer(), seed=3))[0].seed == whole[2].seed
    assert kind.requests(rows({"prompt": "q 2"}), Prompting(TextTokenizer(), seed=4))[0].seed != whole[2].seed


def test_what_cannot_be_scored_so_is_refused() -> None:
    with pytest.raises(UserError, match=r"p: pass@5 needs 5 replies to an item, and sampling has 4"):
        built(Number(sampling=Drawing(**DRAWN), metric="pass@5"), "7")
    with pytest.raises(UserError, match=r"p: pass@2 needs 2 replies to an item, and sampling has 1"):
        built(Number(sampling=Drawing(temperature=0, n=4), metric="pass@2"), "7")
    with pytest.raises(UserError, match=r"no answers to vote by; use `metric: avg` or `pass@K`"):
        built(F1(sampling=Drawing(**DRAWN), metric="maj"), "7")
    with pytest.raises(ValueError, match="one reply per item"):
        Bleu(sampling=Drawing(**DRAWN))
    with pytest.raises(ValueError, match="metric"):
        Number(metric="pass@0")
