from typing import Any

import pytest

from ama_ray.data.rows import Row
from ama_ray.errors import UserError
from ama_ray.rewards.chat import as_text, messages

TURNS = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes?"}, {"role": "user", "content": "go"}]


def row(prompt: Any) -> Row:
    return Row({"prompt": prompt}, "p.jsonl, line 3")


def test_a_text_is_a_message_of_the_user_and_stays_text() -> None:
    assert messages(row("hi"), "prompt") == [{"role": "user", "content": "hi"}]
    assert as_text(row("hi"), "prompt") == "hi"


def test_several_turns_are_told_apart() -> None:
    assert messages(row(TURNS), "prompt") == TURNS
    assert as_text(row(TURNS), "prompt") == "User: hi\n\nAssistant: yes?\n\nUser: go"


@pytest.mark.parametrize("turns", [["hi", "and then?"], [{"content": "hi"}]])
def test_of_the_turns_of_benchmarks_the_first_is_asked(turns: Any) -> None:
    assert messages(row(turns), "prompt") == [{"role": "user", "content": "hi"}]
    assert as_text(row(turns), "prompt") == "hi"


@pytest.mark.parametrize("prompt", [3, [1], [{"role": "user"}], [{"role": "user", "content": None}], {"role": "user"}])
def test_anything_else_is_named(prompt: Any) -> None:
    with pytest.raises(UserError, match=r"p.jsonl, line 3: the field 'prompt' must be text, or a list of messages"):
        messages(row(prompt), "prompt")
