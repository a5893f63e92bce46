"""What base's answers say against a probe is told; what they do not is not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ama_ray.config import RunConfig
from ama_ray.engine.replies import Reply
from ama_ray.engine.requests import Continuations, Generation
from ama_ray.evaluation.doubts import doubts
from ama_ray.evaluation.evaluation import Answers, Evaluation
from ama_ray.evaluation.terms import objectives_of
from tests.support.words import WordTokenizer

if TYPE_CHECKING:
    from pathlib import Path

ITEMS = 40


def told(folder: Path, right: int, reply: str = "yes", answer: str = "yes", **reward: Any) -> list[str]:
    """What is said where base has so many of the choices right, and replies this to everything."""
    rows = [{"prompt": f"w{n}", "choices": ["a", "b"], "gold": 0, "answer": answer} for n in range(2 * ITEMS)]
    for name, part in (("search", rows[:ITEMS]), ("report", rows[ITEMS:])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    (folder / "reward.py").write_text("def score(rows, replies): return [0.0] * len(replies)")
    source = {"file": folder / "search.jsonl", "report_file": folder / "report.jsonl"}
    config = RunConfig.from_arguments(
        base="base",
        aligned="aligned",
        reward={"kind": "function", "prompts": source, "scorer": f"{folder}/reward.py:score"},
        tax=[
            {"name": "facts", "family": "f", "kind": "choice", **source},
            {"name": "asked", "family": "f", "kind": "exact", **source},
        ],
        out=folder / "out",
    )
    evaluation = Evaluation.prepare(config, WordTokenizer(), None)["search"]
    answers: list[Any] = [None] * len(evaluation.requests)
    for position, place in enumerate(evaluation.places["facts"]):
        answers[place] = [-1.0, -2.0] if position < right else [-2.0, -1.0]
    for place, request in enumerate(evaluation.requests):
        if isinstance(request, Generation):
            answers[place] = [Reply(reply)] * request.n
        assert isinstance(request, Generation | Continuations)
    return list(doubts(evaluation, objectives_of(config), Answers(tuple(answers))))


def test_a_sound_base_has_nothing_said(tmp_path: Path) -> None:
    assert told(tmp_path, right=36) == []


@pytest.mark.parametrize("right", [14, 20, 25])
def test_a_base_that_guesses_is_told(tmp_path: Path, right: int) -> None:
    (said,) = told(tmp_path, right)
    assert said.startswith(f"facts: base scores {right / ITEMS:.3f} on 40 items, which is not beyond error of guessing")
    assert "(0.500)" in said


def test_a_base_that_has_nothing_right_is_told(tmp_path: Path) -> None:
    (said,) = told(tmp_path, right=36, answer="no")
    assert said.startswith("asked: base scores 0 on each of its 40 items")


def test_a_base_that_says_nothing_is_told_once(tmp_path: Path) -> None:
    said = told(tmp_path, right=36, reply=" \n", answer="no")
    assert [line.partition(":")[0] for line in said] == ["reward", "asked"]
    assert all("every reply of base is empty" in line for line in said)
