"""Rows of every kind as people read them."""

from typing import Any

import pytest

from ama_ray.data.item_text import item_text
from ama_ray.data.rows import Row
from ama_ray.scores.item_text import ItemText


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"prompt": "q", "choices": ["a", "b"], "gold": 1}, ItemText("q", "b", ("a", "b"))),
        ({"prompt": "q", "choices": ["a", "b"], "gold": "B"}, ItemText("q", "B", ("a", "b"))),
        ({"prompts": ["a", "b"], "continuation": "c", "gold": 0}, ItemText("c", "a", ("a", "b"))),
        ({"prompt": "q", "answer": "9"}, ItemText("q", "9")),
        ({"prompt": "q", "answer": [["a", "b"], "c"]}, ItemText("q", "a | b | c")),
        ({"prompt": "q", "solution": "so 9"}, ItemText("q", "so 9")),
        ({"prompt": "q"}, ItemText("q")),
        ({"text": "long"}, ItemText("long")),
    ],
)
def test_a_row_is_read(fields: dict[str, Any], text: ItemText) -> None:
    assert item_text(Row(fields, "here")) == text
