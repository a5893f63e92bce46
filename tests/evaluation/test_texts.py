"""What items ask and what was answered, from prepared rewards and probes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ama_ray.engine.replies import Reply
from ama_ray.evaluation.texts import said, texts
from ama_ray.probes import registry as probes
from ama_ray.scores.item_text import ItemText
from tests.support.probe_items import ANSWER, CHOICE, TEXT, TextTokenizer, moved, prepare, probe
from tests.support.rewards import prepare as prepare_reward

if TYPE_CHECKING:
    from pathlib import Path


def test_the_report_split_has_texts_and_what_was_answered(tmp_path: Path) -> None:
    (tmp_path / "r.py").write_text("def score(rows, replies):\n    return [1.0 for _ in replies]\n")
    _, reward = prepare_reward(tmp_path, kind="function", scorer=f"{tmp_path}/r.py:score")
    search, choice = prepare(probe(tmp_path, "choice", [CHOICE], [moved(CHOICE)]))
    exact = prepare(probe(tmp_path, "exact", [ANSWER], [moved(ANSWER)]).model_copy(update={"name": "e"}))[1]
    assert not search.texts
    assert texts([reward], [choice, exact]) == {
        "reward": [ItemText("later")],
        "p": [ItemText("q later", "b", ("a", "b"))],
        "e": [ItemText("q later", "9")],
    }
    answers: dict[str, list[Any]] = {
        "reward": [[Reply("hello", thinking="hm"), Reply("again")]],
        "p": [[-1.0, -2.0]],
        "e": [[Reply("", thinking="8 or 9", cut_off=True)]],
    }
    assert said([reward], [choice, exact], answers.__getitem__) == {
        "reward": ["[thinking: hm]\nhello"],
        "p": ["a"],
        "e": ["[thinking: 8 or 9 [cut off]]\n"],
    }


@pytest.mark.parametrize("kind", ["letter", "calibration"])
def test_letters_and_confident_choices_are_told_by_their_choices(tmp_path: Path, kind: str) -> None:
    made = probe(tmp_path, kind, [CHOICE], [moved(CHOICE)])
    report = probes.prepare(made, TextTokenizer(), 0.5, None)["report"]
    assert report.said([[-2.0, -1.0]]) == ["b"]


def test_a_text_that_is_divided_is_one_item(tmp_path: Path) -> None:
    divided = prepare(probe(tmp_path, "perplexity", [TEXT], [moved(TEXT)]), limit=4)[1]
    assert len(divided.requests) == 2
    assert texts([], [divided]) == {"p": [ItemText("a b c later")]}
    assert said([], [divided], lambda name: [[-1.0], [-2.0]]) == {}
