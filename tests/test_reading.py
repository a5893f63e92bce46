from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ama_ray.reading import DEEPEST, open_regular, parse_json, read_bytes, read_json, read_text
from tests.support.hostile import DEEP, NESTED, ODD, VALUES, put, within

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("read", [read_bytes, read_text, read_json, open_regular])
def test_only_regular_files_under_a_size_are_read(tmp_path: Path, kind: str, read: object) -> None:
    put(tmp_path / "file", kind)
    assert callable(read)
    with within(10), pytest.raises(OSError, match=r"not a regular file|a directory|are the most"):
        read(tmp_path / "file")


def test_what_is_not_read_as_a_whole_may_be_large(tmp_path: Path) -> None:
    put(tmp_path / "file", "large")
    with open_regular(tmp_path / "file", limit=None) as file:
        assert file.read(4) == bytes(4)


def test_no_more_is_read_than_the_limit_of_files_without_a_size() -> None:
    from pathlib import Path

    assert len(read_bytes(Path("/proc/self/maps"), limit=10)) == 10


def test_text_is_read_as_path_reads_it_or_with_its_ends_of_lines(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes("\ufeffé\r\nb\r".encode())
    assert read_text(tmp_path / "file", "utf-8-sig") == "é\nb\n"
    assert read_text(tmp_path / "file", newline="") == "\ufeffé\r\nb\r"


@pytest.mark.parametrize("text", [DEEP, NESTED, "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1)])
def test_json_that_is_nested_too_deep_is_no_value(text: str) -> None:
    with pytest.raises(ValueError, match="levels of lists and objects"):
        parse_json(text)


@given(VALUES)
def test_any_other_value_is_what_json_makes_of_it(value: object) -> None:
    text = json.dumps(value)
    assert repr(parse_json(text)) == repr(json.loads(text))
    assert parse_json("[" * (DEEPEST - 1) + "1" + "]" * (DEEPEST - 1))


@given(st.binary(max_size=40) | st.text(max_size=40))
def test_garbage_is_no_value_or_is_one(text: str | bytes) -> None:
    try:
        parse_json(text)
    except ValueError:
        return
