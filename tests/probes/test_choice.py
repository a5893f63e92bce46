from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.special import softmax

from ama_ray.config import Chat
from ama_ray.data.prompting import Prompting
from ama_ray.engine.requests import Continuations
from ama_ray.errors import UserError
from ama_ray.probes.calibration import Calibration
from ama_ray.probes.choice import Choice, ChoiceItems
from ama_ray.probes.letter import Letter, LetterItems
from ama_ray.scores.metrics import METRICS
from tests.support.probe_items import Fields, PieceTokenizer, TextTokenizer, rows


def choice(*fields: Fields, tokenizer: Any = None, chat: bool = False, **settings: Any) -> ChoiceItems:
    return Choice(**settings).build("p", rows(*fields), Prompting(tokenizer or TextTokenizer(), Chat(chat=chat)), None)


def letter(*fields: Fields, tokenizer: Any = None, **settings: Any) -> LetterItems:
    return Letter(**settings).build("p", rows(*fields), Prompting(tokenizer or TextTokenizer()), None)


def test_choices_share_their_context() -> None:
    items = choice({"prompt": "the cat", "choices": ["sat", "sat down"], "gold": 1})
    assert items.requests == (Continuations((0, 1, 2), ((3,), (3, 4))),)


def test_prompts_of_their_own_are_a_request_each() -> None:
    items = choice(
        {"prompts": ["so Sarah", "so Maria"], "continuation": "slept .", "gold": 1},
        {"prompt": "so", "choices": ["Sarah", "Maria"], "gold": 1},
    )
    # so=1 Sarah=2 slept=3 .=4 Maria=5
    assert items.requests == (
        Continuations((0, 1, 2), ((3, 4),)),
        Continuations((0, 1, 5), ((3, 4),)),
        Continuations((0, 1), ((2,), (5,))),
    )
    answers = [[-2.0], [-1.0], [-1.0, -2.0]]
    assert items.statistics(answers, answers).tolist() == [[1], [0]]


def test_choices_that_merge_with_the_prompt_differently_have_contexts_of_their_own() -> None:
    tokenizer = PieceTokenizer("ax", "z")
    a, x, z, ax = (tokenizer.encode(text)[0] for text in ("a", "x", "z", "ax"))
    items = choice({"prompt": "qa", "choices": ["xz", "z"], "gold": 0}, tokenizer=tokenizer, delimiter="")
    q = ord("q")
    # As lm-evaluation-harness: the continuation is what comes after as many tokens as the prompt alone has.
    assert items.requests == (Continuations((q, ax), ((z,),)), Continuations((q, a), ((z,),)))
    assert items.sizes == (2,)
    assert x != ax


def test_spaces_at_the_end_of_a_prompt_go_to_the_choices() -> None:
    tokenizer = PieceTokenizer(" b", " c")
    items = choice({"prompt": "a ", "choices": ["b", "c"], "gold": 0}, tokenizer=tokenizer, delimiter="")
    b, c = (tuple(tokenizer.encode(text)) for text in (" b", " c"))
    assert items.requests == (Continuations((ord("a"),), (b, c)),)


def test_acc_takes_the_likeliest_choice_and_the_first_of_a_tie() -> None:
    items = choice(*[{"prompt": "q", "choices": ["aa", "b", "c"], "gold": gold} for gold in (1, 0, 0)])
    answers = [[-3.0, -1.0, -2.0], [-3.0, -1.0, -2.0], [-1.0, -1.0, -2.0]]
    assert items.statistics(answers, answers).tolist() == [[1], [0], [1]]


def test_acc_norm_divides_by_characters() -> None:
    row = {"prompt": "q", "choices": ["aaaa", "b"], "gold": 0}
    answers = [[-3.0, -1.0]]
    assert choice(row).statistics(answers, answers).tolist() == [[0]]
    assert choice(row, metric="acc_norm").statistics(answers, answers).tolist() == [[1]]


def test_with_a_chat_template_the_choice_begins_the_turn() -> None:
    tokenizer = TextTokenizer()
    items = choice({"prompt": "q", "choices": ["a", "b"], "gold": 0}, tokenizer=tokenizer, chat=True, delimiter=" | ")
    assert "|" not in tokenizer.words
    (request,) = items.requests
    assert [tokenizer.words[token] for token in request.context] == ["<user>", "q", "<model>"]


def test_letters_are_one_token_each() -> None:
    tokenizer = TextTokenizer()
    items = letter(
        {"prompt": "q A x B y C z", "choices": ["x", "y", "z"], "gold": 2},
        {"prompt": "q A x B y", "choices": ["A", "B"], "gold": "B"},
        tokenizer=tokenizer,
    )
    first, second = items.requests
    assert isinstance(first, Continuations)
    assert [tokenizer.words[token] for (token,) in first.continuations] == ["A", "B", "C"]
    assert isinstance(second, Continuations)
    assert len(second.continuations) == 2
    answers = [[-3.0, -2.0, -1.0], [-1.0, -2.0]]
    assert items.statistics(answers, answers).tolist() == [[1], [0]]


@pytest.mark.parametrize("pieces", [(), (" A",)])
def test_letters_of_several_tokens_are_scored_as_choices_are(pieces: tuple[str, ...]) -> None:
    row = {"prompt": "Answer:", "choices": ["x", "y"], "gold": 0}
    items = letter(row, tokenizer=PieceTokenizer(*pieces))
    answers = [[-1.0, -2.0]] if len(items.requests) == 1 else [[-1.0], [-2.0]]
    assert items.statistics(answers, answers).tolist() == [[1]]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"prompt": "q", "choices": ["a", "b"], "gold": "C"}, "'gold' must be a letter from A to B, not 'C'"),
        ({"prompt": "q", "choices": ["a", "b"], "gold": 2}, "'gold' must be an index from 0 to 1, not 2"),
        ({"prompt": "q", "choices": ["a"] * 27, "gold": 0}, "'choices' has 27, and there are 26 letters"),
        ({"prompt": "q", "choices": "ab", "gold": 0}, "'choices' must be a list"),
        ({"prompt": "q", "gold": 0}, "'choices' is missing"),
    ],
)
def test_a_bad_letter_row_is_named(row: Fields, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        letter(row)
    assert str(caught.value).startswith("items.jsonl, line 1: ")


LOGS = st.floats(-30, -0.001)


@given(
    answers=st.lists(st.lists(LOGS, min_size=3, max_size=3), min_size=1, max_size=30),
    bins=st.integers(2, 12),
    metric=st.sampled_from(["acc", "acc_norm"]),
    data=st.data(),
)
def test_calibration_error_is_that_of_the_definition(
    answers: list[list[float]], bins: int, metric: Any, data: st.DataObject
) -> None:
    gold = [data.draw(st.integers(0, 2)) for _ in answers]
    fields = [{"prompt": "q", "choices": ["a", "bb", "ccc"], "gold": each} for each in gold]
    kind = Calibration(metric=metric, bins=bins)
    items = kind.build("p", rows(*fields), Prompting(TextTokenizer()), None)
    statistics = items.statistics(answers, answers)
    assert statistics.shape == (len(answers), bins)
    assert METRICS["calibration"].score(statistics) == pytest.approx(ece(answers, gold, bins, metric), abs=1e-9)


def ece(answers: list[list[float]], gold: list[int], bins: int, metric: str) -> float:
    """Guo et al. (2017), equation 3, bin by bin."""
    compared = np.array(answers) / (np.array([1.0, 2.0, 3.0]) if metric == "acc_norm" else 1.0)
    chances = softmax(compared, axis=1)
    confidence, right = chances.max(axis=1), chances.argmax(axis=1) == gold
    # On the edge of two bins, rounding decides.
    assume(not np.any((np.abs(confidence * bins - np.round(confidence * bins)) < 1e-9) & (confidence < 0.99)))
    error = 0.0
    for number in range(bins):
        inside = (confidence > number / bins) & (confidence <= (number + 1) / bins)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return error


def test_calibration_asks_what_the_choice_probe_asks() -> None:
    fields = [
        {"prompt": "q", "choices": ["a", "b"], "gold": 0},
        {"prompts": ["q a", "q b"], "continuation": "c", "gold": 1},
    ]
    tokenizer = TextTokenizer()
    ours = Calibration().build("p", rows(*fields), Prompting(tokenizer), None)
    assert ours.requests == choice(*fields, tokenizer=tokenizer).requests


def test_a_sure_and_right_model_is_calibrated() -> None:
    fields = [{"prompt": "q", "choices": ["a", "b"], "gold": gold} for gold in (0, 1)]
    items = Calibration().build("p", rows(*fields), Prompting(TextTokenizer()), None)
    right, wrong = [[0.0, -800.0], [-800.0, 0.0]], [[-800.0, 0.0], [0.0, -800.0]]
    assert METRICS["calibration"].score(items.statistics(right, right)) == 0
    assert METRICS["calibration"].score(items.statistics(wrong, right)) == 1
