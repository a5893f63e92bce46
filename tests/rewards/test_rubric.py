import re

from hypothesis import given
from hypothesis import strategies as st

from ama_ray.rewards.rubric import MARK, PAIR, fill

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
