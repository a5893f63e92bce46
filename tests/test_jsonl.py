from pathlib import Path

import pytest

from ama_ray.errors import UserError
from ama_ray.jsonl import read_rows, text_field


def test_blank_lines_are_skipped(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"prompt": "é"}\n\n{"prompt": "b"}\n', encoding="utf-8")
    assert read_rows(file) == [{"prompt": "é"}, {"prompt": "b"}]


def test_a_byte_order_mark_and_line_separators_inside_a_text_are_no_trouble(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes('\ufeff{"prompt": "a\u2028b\u0085c"}\r\n{"prompt": "d"}'.encode())
    assert read_rows(file) == [{"prompt": "a\u2028b\u0085c"}, {"prompt": "d"}]


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "no rows"), (b'{"a": 1}\n{"a"', "line 2"), (b"[1]", "line 1"), (b"\xff{}", "UTF-8")],
)
def test_a_malformed_file_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(content)
    with pytest.raises(UserError, match=words) as caught:
        read_rows(file)
    assert str(file) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.jsonl: cannot be read"):
        read_rows(tmp_path / "none.jsonl")


def test_a_field_must_be_there_and_be_text() -> None:
    with pytest.raises(UserError, match=r"f, row 3: the field 'prompt' is missing; this row has text"):
        text_field({"text": "a"}, "prompt", Path("f"), 3)
    with pytest.raises(UserError, match="must be text, not int"):
        text_field({"prompt": 1}, "prompt", Path("f"), 1)
