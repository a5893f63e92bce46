"""From lines of HH-RLHF and sampled replies to pairs of token ids."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from transformers import AutoTokenizer

from ama_ray.errors import UserError
from ama_ray.miniature import ROOT
from testing.real_pair import comparisons
from testing.real_pair.comparisons import Comparison
from testing.real_pair.preferences import preferences, trees

if TYPE_CHECKING:
    from pathlib import Path

ASKED = "\n\nHuman: Hello\n\nAssistant: Hi. What is it?\n\nHuman: A cup\n\nAssistant:"
TEMPLATE = "{% for message in messages %}{{ message['content'] + ' ' }}{% endfor %}"


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    found = AutoTokenizer.from_pretrained(ROOT / "base")
    found.chat_template = TEMPLATE
    return found


def _file(folder: Path, lines: list[dict[str, str]]) -> Path:
    file = folder / "pairs.jsonl.gz"
    file.write_bytes(gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode()))
    return file


def test_a_dialogue_is_its_messages_and_two_replies(tmp_path: Path) -> None:
    other = "\n\nHuman: Bye\n\nAssistant: No."
    lines = [{"chosen": f"{ASKED} Here.", "rejected": f"{ASKED} No."}, {"chosen": f"{ASKED} Here.", "rejected": other}]
    (found,) = comparisons.read(_file(tmp_path, lines))
    assert [message["role"] for message in found.prompt] == ["user", "assistant", "user"]
    assert found.prompt[1]["content"] == "Hi. What is it?"
    assert (found.chosen, found.rejected) == ("Here.", "No.")


def test_a_line_that_is_no_pair_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"line 1: not a pair of HH-RLHF"):
        comparisons.read(_file(tmp_path, [{"chosen": ASKED}]))


def test_no_dialogue_begins_in_two_halves(tmp_path: Path, tokenizer: Any) -> None:
    lines = [
        {"chosen": f"\n\nHuman: {i % 40}\n\nAssistant: {i}", "rejected": f"\n\nHuman: {i % 40}\n\nAssistant: no"}
        for i in range(120)
    ]
    lines.append(
        {"chosen": f"\n\nHuman: {'a ' * 200}\n\nAssistant: 1", "rejected": f"\n\nHuman: {'a ' * 200}\n\nAssistant: 2"}
    )
    comparisons.make(_file(tmp_path, lines), tokenizer, tmp_path / "data")
    files = [comparisons.TRAIN_PROMPTS, comparisons.SEARCH_PROMPTS, comparisons.REPORT_PROMPTS]
    rows = [(tmp_path / "data" / file).read_text().splitlines() for file in files]
    assert all(rows)
    together = [row for half in rows for row in half]
    # Each prompt once, and not the one that is too long.
    assert len(together) == len(set(together)) == 40
    train = comparisons.load(tmp_path / "data" / comparisons.TRAIN)
    test = comparisons.load(tmp_path / "data" / comparisons.TEST)
    assert len(train) + len(test) == 120
    assert not {each.prompt[0]["content"] for each in train} & {each.prompt[0]["content"] for each in test}


def test_a_tree_is_both_texts_with_what_they_share_once(tokenizer: Any) -> None:
    asked = [{"role": "user", "content": "1 2"}]
    ((prompt, (chosen, rejected)),) = trees([Comparison(asked, "3 4", "3 5"), Comparison(asked, "3", "3")], tokenizer)
    assert tokenizer.decode([*prompt, *chosen]).split() == ["1", "2", "3", "4"]
    assert tokenizer.decode([*prompt, *rejected]).split() == ["1", "2", "3", "5"]
    assert chosen[0] != rejected[0]


def test_the_best_and_the_worst_reply_are_told_by_their_scores(tokenizer: Any) -> None:
    rows = [
        {"prompt": [5], "replies": ["1", "2", "3"], "scores": [0.0, -1.0, 2.0]},
        {"prompt": [6], "replies": ["1", "1", "1"], "scores": [0.5, 0.5, 0.5]},
        {"prompt": [7], "replies": ["1 " * 100, "2"], "scores": [1.0, 0.0]},
    ]
    first, cut = preferences(rows, tokenizer)
    end = tokenizer.eos_token_id
    assert tokenizer.decode(first.best[:-1]).strip() == "3"
    assert tokenizer.decode(first.worst[:-1]).strip() == "2"
    assert (first.prompt, first.best[-1]) == ((5,), end)
    # One that was cut has not ended.
    assert len(cut.best) == comparisons.MAX_REPLY
    assert end not in cut.best
