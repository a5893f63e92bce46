import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ama_ray.config.data import Source
from ama_ray.data.rows import Row, read_jsonl
from ama_ray.data.splits import check_disjoint, divide, is_test_split, limit, load, question, searched
from ama_ray.errors import UserError


def write(file: Path, *rows: dict[str, Any]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def rows_of(*prompts: str) -> list[Row]:
    return [Row({"prompt": prompt}, f"f.jsonl, line {i}") for i, prompt in enumerate(prompts, start=1)]


def test_blank_lines_are_skipped_and_places_are_lines(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"prompt": "é"}\n\n{"prompt": "b"}\n', encoding="utf-8")
    assert read_jsonl(file) == [Row({"prompt": "é"}, f"{file}, line 1"), Row({"prompt": "b"}, f"{file}, line 3")]


def test_a_byte_order_mark_and_line_separators_inside_a_text_are_no_trouble(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes('\ufeff{"prompt": "a\u2028b\u0085c"}\r\n{"prompt": "d"}'.encode())
    assert [row.fields for row in read_jsonl(file)] == [{"prompt": "a\u2028b\u0085c"}, {"prompt": "d"}]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no rows"),
        (b'{"a": 1}\n{"a"', "line 2"),
        (b"[1]", "line 1"),
        (b"\xff{}", "UTF-8"),
        (rb'{"a": "\ud83d\ude00"}' + b"\n" + rb'{"a": ["cut \ud83d"]}', "line 2: half of a character"),
    ],
)
def test_a_malformed_file_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(content)
    with pytest.raises(UserError, match=words) as caught:
        read_jsonl(file)
    assert str(file) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.jsonl: cannot be read"):
        read_jsonl(tmp_path / "none.jsonl")


def test_a_field_must_be_there_and_be_text() -> None:
    with pytest.raises(UserError, match=r"f, line 3: the field 'prompt' is missing; this row has text"):
        Row({"text": "a"}, "f, line 3").text("prompt")
    with pytest.raises(UserError, match="must be text, not int"):
        Row({"prompt": 1}, "f, line 1").text("prompt")


PROMPTS = st.lists(st.text(min_size=1), min_size=40, max_size=80, unique=True)


@given(prompts=PROMPTS, share=st.floats(0.3, 0.7))
def test_each_item_is_in_one_split_and_adding_items_moves_none(prompts: list[str], share: float) -> None:
    rows = rows_of(*prompts)
    few, many = divide(rows[:30], share), divide(rows, share)
    assert set(map(question, few.search)) <= set(map(question, many.search))
    assert set(map(question, few.report)) <= set(map(question, many.report))
    assert sorted(row.where for row in (*many.search, *many.report)) == sorted(row.where for row in rows)
    check_disjoint(many)


def test_the_share_is_that_of_the_report_split() -> None:
    halves = divide(rows_of(*map(str, range(2000))), 0.25)
    assert len(halves.report) == pytest.approx(500, abs=60)


def test_items_that_ask_the_same_are_in_the_same_split_whatever_their_answers() -> None:
    rows = [Row({"prompt": f"p{i // 2}", "answer": str(i), "id": i}, f"f, line {i}") for i in range(200)]
    halves = divide(rows, 0.5)
    assert not {row.fields["prompt"] for row in halves.search} & {row.fields["prompt"] for row in halves.report}


def test_too_few_items_to_divide_are_refused() -> None:
    with pytest.raises(UserError, match=r"f\.jsonl: 1 items are too few to divide"):
        divide(rows_of("a"), 0.5)


def test_two_files_may_share_no_item(tmp_path: Path) -> None:
    first = write(tmp_path / "a.jsonl", {"prompt": "x", "answer": "1"}, {"prompt": "y", "answer": "1"})
    second = write(tmp_path / "b.jsonl", {"prompt": "z", "answer": "1"}, {"prompt": "y", "answer": "2"})
    halves = load(Source(file=first, report_file=write(tmp_path / "c.jsonl", {"prompt": "z"})), 0.5)
    assert (len(halves.search), len(halves.report)) == (2, 1)
    with pytest.raises(UserError, match=r"b\.jsonl, line 2: .* in the search split too \(.*a\.jsonl, line 2\)"):
        load(Source(file=first, report_file=second), 0.5)


def test_a_limit_is_a_fixed_draw_of_each_split(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", *({"prompt": str(i)} for i in range(100)))
    whole, part = load(Source(file=file), 0.5), load(Source(file=file, items=10), 0.5)
    assert len(part.search) == len(part.report) == 10
    assert [row for row in whole.search if row in part.search] == list(part.search)
    assert set(map(question, part.report)) <= set(map(question, whole.report))
    assert limit(whole.search, 1000) == whole.search


@pytest.mark.parametrize(
    ("count", "seen"), [(1, 1), (48, 48), (128, 128), (129, 128), (365, 128), (400, 140), (2000, 700)]
)
def test_trials_of_the_search_see_a_third_of_many_items_and_all_of_few(count: int, seen: int) -> None:
    assert searched(count) == seen
    assert searched(count) <= searched(count + 1)  # an item more never leaves a trial with fewer


@pytest.mark.parametrize("name", ["test.jsonl", "ARC-Easy.test.json", "newstest2014.fr", "data_test.csv", "test"])
def test_names_of_test_splits(name: str) -> None:
    assert is_test_split(name)


@pytest.mark.parametrize("name", ["latest.jsonl", "contest.csv", "validation", "dev.jsonl", "testimony.jsonl"])
def test_names_of_other_splits(name: str) -> None:
    assert not is_test_split(name)


def test_items_that_ask_the_same_are_told_apart_from_too_few() -> None:
    with pytest.raises(UserError, match=r"f\.jsonl: 40 items ask 1 different things, which are too few to divide"):
        divide(rows_of(*["same"] * 40), 0.5)
