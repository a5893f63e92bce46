"""What items ask and what points answered, on disk."""

from pathlib import Path

import pytest

from ama_ray.scores.item_text import ItemText
from ama_ray.storage import item_texts
from ama_ray.storage.item_texts import ItemTexts


def test_what_was_written_is_read(tmp_path: Path) -> None:
    texts = ItemTexts(tmp_path / "texts")
    assert texts.read_items() == {}
    assert texts.read_answers(3) == {}
    texts.write_items({"arc": [ItemText("a\n?", "b", ("b", "c"))], "reward": [ItemText("p")]})
    texts.write_answers(3, {"arc": ["half \ud83d", "</script>"]})
    assert texts.read_items() == {"arc": [ItemText("a\n?", "b")], "reward": [ItemText("p")]}
    assert texts.read_answers(3)["arc"][1] == "</script>"


def test_texts_are_cut_and_the_more_so_the_more_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ItemTexts(tmp_path / "texts")
    texts.write_answers(1, {"arc": ["x" * 5_000]})
    assert len(texts.read_answers(1)["arc"][0]) == item_texts.LONGEST
    monkeypatch.setattr(item_texts, "_OF_A_FILE", 100)
    texts.write_answers(1, {"arc": ["x" * 5_000] * 10})
    assert {len(text) for text in texts.read_answers(1)["arc"]} == {10}
