from pathlib import Path
from typing import Any

import pytest

from ama_ray.errors import UserError
from ama_ray.rewards.base import PreparedReward, ScorerError
from tests.support.replies import said
from tests.support.rewards import prepare

LONGER = """\
    return [float(len(reply) > len(reference)) if len(reply) != len(reference) else 0.5
            for row, reply, reference in zip(rows, replies, references)]
"""


def read(folder: Path, body: str, **fields: Any) -> tuple[PreparedReward, PreparedReward]:
    (folder / "reward.py").write_text(f"def compare(rows, replies, references):\n{body}\n")
    return prepare(folder, kind="pairwise", scorer=f"{folder}/reward.py:compare", **fields)


def test_every_reply_meets_the_reference_of_its_row(tmp_path: Path) -> None:
    search, later = read(tmp_path, LONGER)
    assert search.score(said([["longer than it", "x"], ["sixsix", "x"]])).scores.tolist() == [[1, 0], [0.5, 0]]
    assert later.score(said([["x", "third"]])).scores.tolist() == [[0, 0.5]]


@pytest.mark.parametrize("field", ["reference", "other"])
def test_a_row_without_its_reference_is_named(tmp_path: Path, field: str) -> None:
    rows = [{"prompt": "a", "other": "x"}, {"prompt": "b", "reference": "y"}]
    line = 1 if field == "reference" else 2
    with pytest.raises(UserError, match=rf"prompts.jsonl, line {line}: the field '{field}' is missing"):
        read(tmp_path, LONGER, rows=rows, reference=field)


def test_a_chance_outside_of_0_and_1_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"returned 2 for the reply 'Yes.'; the chance .* between 0 and 1"):
        read(tmp_path, "    return [2] * len(replies)")
    search, _ = read(tmp_path, "    return [0.1 if reply in ('Yes.', '') else -0.1 for reply in replies]")
    with pytest.raises(ScorerError, match=r"returned -0.1 for the reply 'no'"):
        search.score(said([["Yes."], ["no"]]))
