import json
from pathlib import Path
from typing import Any

import pytest

from ama_ray import probes
from ama_ray.config import ChoiceProbe, ExactProbe
from ama_ray.engine.requests import Continuations, Generation
from ama_ray.errors import UserError
from ama_ray.probes import ChoiceItems, ExactItems
from ama_ray.tokens import encode_pair
from tests.words import WordTokenizer


def write(folder: Path, rows: list[dict[str, Any]]) -> Path:
    file = folder / "items.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def choice(folder: Path, rows: list[dict[str, Any]], **settings: Any) -> ChoiceItems:
    probe = ChoiceProbe(name="p", family="f", kind="choice", file=write(folder, rows), **settings)
    items = probes.prepare(probe, WordTokenizer())
    assert isinstance(items, ChoiceItems)
    return items


def test_choices_share_their_context(tmp_path: Path) -> None:
    items = choice(tmp_path, [{"prompt": "the cat", "choices": ["sat", "sat down"], "gold": 1}])
    assert items.requests == (Continuations((0, 1, 2), ((3,), (3, 4))),)
    assert items.requests[0].length == 3 + 2 + 1


def test_acc_takes_the_likeliest_choice_and_the_first_of_a_tie(tmp_path: Path) -> None:
    rows = [{"prompt": "q", "choices": ["aa", "b", "c"], "gold": gold} for gold in (1, 0, 0)]
    items = choice(tmp_path, rows)
    assert items.item_scores([[-3.0, -1.0, -2.0], [-3.0, -1.0, -2.0], [-1.0, -1.0, -2.0]]).tolist() == [1, 0, 1]


def test_acc_norm_divides_by_characters(tmp_path: Path) -> None:
    rows = [{"prompt": "q", "choices": ["aaaa", "b"], "gold": 0}]
    assert choice(tmp_path, rows).item_scores([[-3.0, -1.0]]).tolist() == [0]
    assert choice(tmp_path, rows, metric="acc_norm").item_scores([[-3.0, -1.0]]).tolist() == [1]


def test_exact_strips_both_sides(tmp_path: Path) -> None:
    file = write(tmp_path, [{"prompt": "a b", "answer": " c "}, {"prompt": "d", "answer": "e"}])
    probe = ExactProbe(name="p", family="f", kind="exact", file=file, max_tokens=5, stop=(".",))
    items = probes.prepare(probe, WordTokenizer())
    assert isinstance(items, ExactItems)
    assert items.requests[0] == Generation((0, 1, 2), max_tokens=5, stop=(".",))
    assert items.item_scores([["\nc "], ["e f"]]).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"choices": ["a", "b"], "gold": 0}, "'prompt' is missing"),
        ({"prompt": "q", "gold": 0}, "'choices'"),
        ({"prompt": "q", "choices": ["a"], "gold": 0}, "'choices'"),
        ({"prompt": "q", "choices": ["a", ""], "gold": 0}, "'choices'"),
        ({"prompt": "q", "choices": ["a", "b"]}, "'gold'"),
        ({"prompt": "q", "choices": ["a", "b"], "gold": 2}, "from 0 to 1, not 2"),
        ({"prompt": "q", "choices": ["a", "b"], "gold": True}, "'gold'"),
        ({"prompt": "q", "choices": ["a", "b"], "gold": "0"}, "'gold'"),
        ({"prompt": "q", "choices": ["a", " "], "gold": 0}, "no tokens"),
    ],
)
def test_a_bad_choice_row_is_named(tmp_path: Path, row: dict[str, Any], words: str) -> None:
    good = {"prompt": "q", "choices": ["a", "b"], "gold": 0}
    with pytest.raises(UserError, match=words) as caught:
        choice(tmp_path, [good, row])
    assert "items.jsonl, row 2" in str(caught.value)


class MergingTokenizer:
    """Merges a space with the letter after it, as byte-pair tokenizers do."""

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        tokens = text.replace(" ", "_").replace("_b", "B")
        return [0] * add_special_tokens + [ord(letter) for letter in tokens]


def test_choices_that_merge_differently_with_the_prompt_are_refused(tmp_path: Path) -> None:
    probe = ChoiceProbe(
        name="p",
        family="f",
        kind="choice",
        file=write(tmp_path, [{"prompt": "a", "choices": ["xy", "zy"], "gold": 0}]),
        delimiter="",
    )

    class PairTokenizer:
        def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
            return [hash(text[start : start + 2]) for start in range(0, len(text), 2)]

    with pytest.raises(UserError, match=r"row 1: the end of the prompt and the start of a choice merge"):
        probes.prepare(probe, PairTokenizer())


def test_a_context_is_split_from_its_continuation_as_lm_eval_does() -> None:
    tokenizer = MergingTokenizer()
    assert encode_pair(tokenizer, "a", " b") == ((0, ord("a")), (ord("B"),))
    # The space at the end of the context moves over, so that it can merge.
    assert encode_pair(tokenizer, "a ", "b") == ((0, ord("a")), (ord("B"),))
