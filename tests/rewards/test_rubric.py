import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ama_ray.rewards.rubric import MARK, PAIR, fill, read_number

NAMES = ("prompt", "reply", "reference")
BRACED = st.text(alphabet="{}ab \n\\$%", max_size=20) | st.sampled_from(["{prompt}", "{reply}", "{0}", "{", "}}", "%s"])


@given(parts=st.lists(BRACED | st.sampled_from([f"{{{name}}}" for name in NAMES]), max_size=8), texts=st.data())
def test_braces_of_the_texts_stay_as_they_are(parts: list[str], texts: st.DataObject) -> None:
    fields = {name: texts.draw(BRACED) for name in NAMES}
    template = "".join(parts)
    # Independently: cut the template at its placeholders, and put the pieces together again.
    pieces = re.split(r"(\{prompt\}|\{reply\}|\{reference\})", template)
    expected = "".join(fields[piece[1:-1]] if i % 2 else piece for i, piece in enumerate(pieces))
    assert fill(template, fields) == expected


def test_the_default_rubrics_are_filled() -> None:
    mark = fill(MARK, {"prompt": "P{reply}", "reply": "R", "low": "1", "high": "10"})
    assert "<conversation>\nP{reply}\n" in mark
    assert "<reply>\nR\n" in mark
    assert "from 1 (worst) to 10 (best)" in mark
    pair = fill(PAIR, {"prompt": "P", "first": "A", "second": "B"})
    assert pair.index("<first_reply>\nA\n") < pair.index("<second_reply>\nB\n")
    assert not re.search(r"\{\w+\}", pair)


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("8", 8),
        (" **8**\n", 8),
        ("8/10", 8),
        ("I would say 7.5.", 7.5),
        ("0, no: 3", 3),
        ("11 of 12", None),
        ("-3", None),
        ("GPT4 or the 2nd: 6", 6),
        ("version 3.14.15 gets 9", 9),
        ("<think>first I thought 2</think> 9", 9),
        ("ten", None),
        ("", None),
        ("٣", 3),
    ],
)
def test_the_first_number_within_the_scale_counts(answer: str, number: float | None) -> None:
    assert read_number(answer, 1, 10) == number


@given(st.integers(-50, 50), st.integers(0, 99))
def test_a_number_is_read_as_it_is_written(whole: int, hundredths: int) -> None:
    text = f"{whole}.{hundredths:02d}"
    assert read_number(f"mark: {text}!", -100, 100) == float(text)
