"""A chat template that ends a turn with a token at which nothing stops is told."""

from __future__ import annotations

from typing import Any

import pytest

from ama_ray.data.turn_end import endless_turn
from testing.checkpoints import word_tokenizer

CHATML = (
    "{% for message in messages %}<|im_start|> {{ message['role'] }} {{ message['content'] }} <|im_end|>\n{% endfor %}"
)


def tokenizer(template: str | None) -> Any:
    made = word_tokenizer()
    made.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    made.chat_template = template
    return made


def test_an_end_of_turn_that_stops_nothing() -> None:
    made = tokenizer(CHATML)
    end = made.convert_tokens_to_ids("<|im_end|>")
    assert "ends a turn with '<|im_end|>'" in endless_turn(made, (2,))
    assert endless_turn(made, (2, end)) == ""


@pytest.mark.parametrize(
    "template",
    [
        None,
        "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\nw5{% endfor %}",
        "{% for message in messages %}{{ message['content'] }}{% endfor %}",
        "{{ raise_exception('no') }}",
        "nothing of the messages",
    ],
)
def test_where_no_special_token_ends_a_turn_nothing_is_told(template: str | None) -> None:
    assert endless_turn(tokenizer(template), (2,)) == ""
