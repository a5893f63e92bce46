from pathlib import Path

import pytest

from ama_ray.errors import UserError
from ama_ray.scores.trial import KeptReply
from ama_ray.storage.records import ReplyStore


def test_replies_return_as_they_were_and_replace_earlier_ones(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path / "replies.jsonl")
    assert store.read() == {}
    odd = (KeptReply("a\nb", "</script> \u2028 é"), KeptReply("c", ""))
    store.write(7, odd)
    store.write(2, (KeptReply("a\nb", "first"),))
    store.write(2, (KeptReply("a\nb", "second"),))
    assert store.read() == {2: (KeptReply("a\nb", "second"),), 7: odd}
    assert [path.name for path in tmp_path.iterdir()] == ["replies.jsonl"]


@pytest.mark.parametrize("line", ['{"trial": 1}', '{"trial": 1e999, "prompt": "a", "reply": "b"}'])
def test_a_damaged_file_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "replies.jsonl").write_text(f"{line}\n")
    with pytest.raises(UserError, match=r"replies\.jsonl"):
        ReplyStore(tmp_path / "replies.jsonl").read()
