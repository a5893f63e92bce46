"""Probes whose replies a Python function scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ama_ray.errors import UserError
from ama_ray.processes.worker import end_workers
from ama_ray.rewards.base import ScorerError
from tests.support.probe_items import prepare, probe
from tests.support.replies import said

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ama_ray.probes.base import PreparedProbe

ITEMS = [{"prompt": "a", "most": 2}, {"prompt": "b", "most": 4}]
SHORT = "return [float(len(reply) <= row['most']) for row, reply in zip(rows, replies)]"


@pytest.fixture(autouse=True)
def no_worker_is_left() -> Iterator[None]:
    yield
    end_workers()


def read(folder: Path, body: str) -> PreparedProbe:
    (folder / "f.py").write_text(f"def score(rows, replies):\n    {body}\n")
    made = probe(folder, "function", ITEMS, [{"prompt": "c", "most": 1}], scorer=f"{folder}/f.py:score")
    return prepare(made)[0]


def test_every_reply_is_scored_with_its_row(tmp_path: Path) -> None:
    statistics = read(tmp_path, SHORT).statistics(said([["abc"], ["abc"]]), [])
    assert statistics.tolist() == [[0.0], [1.0]]


def test_another_function_makes_other_items(tmp_path: Path) -> None:
    assert repr(read(tmp_path, SHORT)) == repr(read(tmp_path, SHORT))
    assert repr(read(tmp_path, SHORT)) != repr(read(tmp_path, "return [1.0 for _ in replies]"))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise KeyError('tone')", "raised KeyError: 'tone'"),
        ("return [1.0]", "returned 1 scores for 4 replies"),
        ("return [1.0, 1.5, 0, 0]", r"returned 1.5, which is not from 0 to 1, for the reply ''"),
        ("return [1.0, float('nan'), 0, 0]", "returned nan, which is not from 0 to 1"),
        ("return None", "list of numbers"),
    ],
)
def test_a_function_that_fails_is_refused_before_anything_starts(tmp_path: Path, body: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        read(tmp_path, body)
    assert str(caught.value).startswith(f"p: the scorer {tmp_path}/f.py:score ")


def test_a_function_that_fails_later_costs_its_trial(tmp_path: Path) -> None:
    made = read(tmp_path, "return [1.0 if reply in ('', 'Yes.') else 2.0 for reply in replies]")
    with pytest.raises(ScorerError, match=r"returned 2\.0"):
        made.statistics(said([["abc"], ["Yes."]]), [])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    made = probe(tmp_path, "function", ITEMS, [{"prompt": "c", "most": 1}], scorer=f"{tmp_path}/none.py:score")
    with pytest.raises(UserError, match=r"tax\.scorer: there is no file .*none\.py"):
        prepare(made)
