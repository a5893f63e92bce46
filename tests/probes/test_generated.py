import json
import math
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.data.metrics import squad_metrics

from ama_ray.data.prompting import Prompting
from ama_ray.data.thinking import Thinking
from ama_ray.engine.requests import Generation
from ama_ray.errors import UserError
from ama_ray.probes.answers import drop, squad
from ama_ray.probes.answers.number import number
from ama_ray.probes.exact import Exact
from ama_ray.probes.f1 import F1
from ama_ray.probes.number import Number
from tests.support.probe_items import TextTokenizer, rows
from tests.support.replies import said

GSM8K = Path(__file__).parents[2] / "../shared/data/gsm8k/test.jsonl"
WORDS = [
    "the",
    "A",
    "an",
    "Cat,",
    "cat",
    "dog",
    "5",
    "5.0",
    "-5",
    "1,000",
    "$3.50",
    "twenty-five",
    "nan",
    "U.S.",
    "-",
    ".",
]
TEXT = st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join) | st.text(max_size=12)


def score(kind: Exact | F1 | Number, answer: Any, *replies: str) -> list[float]:
    fields = [{"prompt": "q", "answer": answer}] * len(replies)
    items = kind.build("p", rows(*fields), Prompting(TextTokenizer()), None)
    statistics = items.statistics(said([[reply] for reply in replies]), [])
    assert statistics.shape == (len(replies), 1)
    return [float(each) for each in statistics[:, 0]]


def test_requests_are_greedy() -> None:
    kind = Exact(max_tokens=5, stop=(".",))
    fields = {"prompt": "a b", "answer": "c"}
    items = kind.build("p", rows(fields), Prompting(TextTokenizer()), None)
    assert items.requests == (
        Generation((0, 1, 2), max_tokens=5, stop=(".",), thinking=Thinking("</think>", "<think>")),
    )


def test_exact_strips_both_sides() -> None:
    assert score(Exact(), " c ", "\nc ", "c d", "C") == [1, 0, 0]


def test_exact_takes_any_right_answer() -> None:
    assert score(Exact(), ["c", "d"], "c", "d", "e") == [1, 1, 0]


def test_exact_as_squad_drops_case_punctuation_and_articles() -> None:
    assert score(Exact(normalize="squad"), ["The U.S."], "us", "a US!", "we") == [1, 1, 0]


@given(reply=TEXT, answers=st.lists(TEXT, min_size=1, max_size=3))
def test_squad_is_as_in_transformers(reply: str, answers: list[str]) -> None:
    golds = [each for each in answers if squad_metrics.normalize_answer(each)] or [""]
    assert [squad.normalize(each) for each in golds] == [squad_metrics.normalize_answer(each) for each in golds]
    (exact,), (f1,) = score(Exact(normalize="squad"), answers, reply), score(F1(), answers, reply)
    assert exact == max(squad_metrics.compute_exact(gold, reply) for gold in golds)
    assert f1 == pytest.approx(max(squad_metrics.compute_f1(gold, reply) for gold in golds))


@settings(deadline=None)  # the first example imports lm_eval
@given(reply=TEXT, answers=st.lists(st.lists(TEXT, min_size=1, max_size=3), min_size=1, max_size=3))
def test_drop_is_as_in_lm_eval(reply: str, answers: list[list[str]]) -> None:
    utils = pytest.importorskip("lm_eval.tasks.drop.utils")
    answers.append(["cat"])
    (f1,) = score(F1(normalize="drop"), answers, reply)
    assert f1 == utils.process_results({"answers": answers}, [reply])["f1"]


@settings(deadline=None)  # the first example imports lm_eval
@given(TEXT)
def test_words_of_drop_are_those_of_lm_eval(text: str) -> None:
    utils = pytest.importorskip("lm_eval.tasks.drop.utils")
    assert drop.bag(text) == frozenset(utils._normalize(text).split())


def test_drop_pairs_the_reply_with_one_span() -> None:
    assert score(F1(normalize="drop"), [["John Smith", "Ann Lee"], "Smith"], "John Smith", "5") == [0.67, 0]
    assert score(F1(normalize="drop"), "5 yards", "5.0 yards", "6 yards") == [1, 0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("so 1,234 cats", "1234"),
        ("12,345,678.50.", "12345678.5"),
        ("1,2", "2"),
        ("it is -5", "-5"),
        ("it is \u22125", "-5"),
        ("-$3.50", "-3.5"),
        ("$-3.50", "-3.5"),
        ("10-12", "12"),
        ("(5)-3", "3"),
        ("3 - 5 = -2", "-2"),
        (".5", "0.5"),
        ("18.", "18"),
        ("18.00", "18"),
        ("x2", "2"),
        ("so 3 and 4\n#### 18\nQuestion: 5", "18"),
        ("#### no 7", "7"),
        ("3 cats ####", "3"),
        ("none", None),
        ("", None),
    ],
)
def test_the_last_number(text: str, expected: str | None) -> None:
    assert number(text) == (None if expected is None else Decimal(expected))


@given(
    st.decimals(-(10**9), 10**9, places=2), st.sampled_from(["{:,}", "{}", "so: {:,}.", "1 and {}\n", "{}0 #### {:,}"])
)
def test_a_number_is_read_however_it_is_written(value: Decimal, template: str) -> None:
    assert number(template.format(*[value] * template.count("{"))) == value


def test_numbers_compare_by_value() -> None:
    assert score(Number(), ["9 + 9 = 18\n#### 18", "19"], "it is $18.00", "18 or 20", "19", "none") == [1, 0, 1, 0]


def test_gsm8k_answers_are_read_whole() -> None:
    if not GSM8K.exists():
        pytest.skip(f"{GSM8K} is not there")
    answers = [json.loads(line)["answer"] for line in GSM8K.read_text().splitlines()]
    after_mark = [float(answer.split("#### ")[1].replace(",", "")) for answer in answers]
    assert len(answers) == 1319
    assert [float(number(answer) or math.nan) for answer in answers] == after_mark
    # Without the mark, the last number of the solution as lm-evaluation-harness extracts it ("flexible-extract").
    pattern = re.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)")
    differ = []
    for answer in answers:
        solution = answer.split("####")[0]
        found = ["".join(groups) for groups in pattern.findall(solution)]
        last = found[-1].replace(",", "").replace("$", "").rstrip(".") if found else ""
        if last.strip("-.") and number(solution) != Decimal(last):
            differ.append((last, number(solution)))
    # It takes the hyphen of "4*3-2" for a sign.
    assert all(Decimal(last) == -(value or 0) for last, value in differ)
    assert len(differ) < 20


@pytest.mark.parametrize(
    ("kind", "answer", "words"),
    [
        (Exact(), 5, "'answer' must be a text or a list of one or more texts"),
        (Exact(), [], "'answer' must be a text or a list of one or more texts"),
        (Exact(), ["a", 5], "'answer' must be a text or a list of one or more texts"),
        (Exact(), ["a", ["b", "c"]], "'answer' has a list of spans, which only `normalize: drop` takes"),
        (F1(), [["a"]], "'answer' has a list of spans"),
        (F1(normalize="drop"), [[]], "'answer' must be a text or a list of one or more texts"),
        (F1(normalize="drop"), [" "], "'answer' has no words"),
        (Number(), "none", "'answer' has no number"),
        (Number(), ["5", "five"], "'answer' has no number"),
    ],
)
def test_a_bad_answer_is_named(kind: Exact | F1 | Number, answer: Any, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        score(kind, answer, "x")
    assert str(caught.value).startswith("items.jsonl, line 1: ")
