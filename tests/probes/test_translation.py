from typing import Any, Literal

import numpy as np
import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from ama_ray.data.prompting import Prompting
from ama_ray.probes.translation import Bleu, Chrf
from ama_ray.scores.metrics import METRICS
from tests.support.probe_items import TextTokenizer, rows
from tests.support.replies import said

WORDS = ["the", "red", "cat", "sat,", "down", "."]
SENTENCE = st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join)
Metric = Literal["bleu", "chrf"]


def statistics(metric: Metric, replies: list[str], references: list[Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    kind = Bleu() if metric == "bleu" else Chrf()
    fields = [{"prompt": "q", "answer": each} for each in references]
    items = kind.build("p", rows(*fields), Prompting(TextTokenizer()), None)
    return items.statistics(said([[reply] for reply in replies]), [])


def official(metric: Metric, replies: list[str], references: list[list[str | None]]) -> float:
    corpus = sacrebleu.corpus_bleu if metric == "bleu" else sacrebleu.corpus_chrf
    return corpus(replies, [list(each) for each in zip(*references, strict=True)]).score / 100


@pytest.mark.parametrize("metric", ["bleu", "chrf"])
@given(pairs=st.lists(st.tuples(SENTENCE, SENTENCE), min_size=2, max_size=8))
def test_scores_are_sacrebleus(metric: Metric, pairs: list[tuple[str, str]]) -> None:
    replies, references = [reply for reply, _ in pairs], [reference for _, reference in pairs]
    items = statistics(metric, replies, references)
    assert METRICS[metric].score(items) == pytest.approx(official(metric, replies, [[r] for r in references]), abs=1e-9)
    without = METRICS[metric].without_each(items)
    expected = official(metric, replies[1:], [[r] for r in references[1:]])
    assert without[0] == pytest.approx(expected, abs=1e-9)
    assert without.shape == (len(pairs),)


@pytest.mark.parametrize("metric", ["bleu", "chrf"])
def test_items_may_have_several_references_of_differing_number(metric: Metric) -> None:
    replies = ["the cat sat down .", "a dog is here now", "the red cat sat"]
    references = [
        ["the cat sat down", "a cat sat down ."],
        "a dog is now here",
        ["red", "the red cat", "a red cat sat"],
    ]
    padded: list[list[str | None]] = [
        ["the cat sat down", "a cat sat down .", None],
        ["a dog is now here", None, None],
        ["red", "the red cat", "a red cat sat"],
    ]
    score = METRICS[metric].score(statistics(metric, replies, references))
    assert score == pytest.approx(official(metric, replies, padded), abs=1e-12)
    assert score > METRICS[metric].score(statistics(metric, replies, [each[0] for each in padded]))


@pytest.mark.parametrize("metric", ["bleu", "chrf"])
def test_the_same_text_scores_1_and_no_text_scores_0(metric: Metric) -> None:
    texts = ["the red cat sat down .", "a cat and a dog"]
    assert METRICS[metric].score(statistics(metric, texts, texts)) == pytest.approx(1)
    assert METRICS[metric].score(statistics(metric, ["", ""], texts)) == 0


@pytest.mark.parametrize("metric", ["bleu", "chrf"])
def test_the_jackknife_error_is_close_to_the_bootstraps(metric: Metric) -> None:
    random = np.random.default_rng(0)
    references = [list(random.choice([f"word{i}" for i in range(50)], random.integers(6, 20))) for _ in range(200)]
    # Replies of all qualities: each word is kept with a chance of its sentence's own.
    replies = []
    for words in references:
        chance = random.uniform(0.5, 1)
        replies.append(" ".join(word if random.random() < chance else "other" for word in words))
    items = statistics(metric, replies, [" ".join(words) for words in references])
    resampled = [METRICS[metric].score(items[random.integers(0, 200, 200)]) for _ in range(600)]
    assert METRICS[metric].standard_error(items) == pytest.approx(np.std(resampled), rel=0.15)
