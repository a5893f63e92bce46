"""Malformed rows, files and values of presets: each is one sentence that names file, line and field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ama_ray.errors import UserError
from ama_ray.probes.presets.registry import PRESETS
from tests.support.preset_rows import HUB_ROWS, items_of, write_jsonl

if TYPE_CHECKING:
    from pathlib import Path

WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "gold of arc": ("arc_easy", {"answerKey": "E"}, "'answerKey' must be one of 1, 2, not 'E'"),
    "labels of arc": ("arc_easy", {"choices": {"text": ["a", "b"], "label": ["A"]}}, "'label' must be a list of 2"),
    "label of piqa": ("piqa", {"label": 2}, "'label' must be an index from 0 to 1, not 2"),
    "unlabelled boolq": ("boolq", {"label": -1}, "'label' must be an index from 0 to 1, not -1"),
    "unlabelled hellaswag": ("hellaswag", {"label": ""}, "'label' must be an index from 0 to 3, not ''"),
    "option of winogrande": ("winogrande", {"answer": "3"}, "'answer' must be one of 1, 2, not '3'"),
    "blank of winogrande": ("winogrande", {"sentence": "No blank."}, "'sentence' must have a '_' with text after it"),
    "question of copa": ("copa", {"question": "why"}, "'question' must be cause or effect, not 'why'"),
    "letter of race": ("race", {"answer": "E"}, "'answer' must be one of A, B, C, D, not 'E'"),
    "choices of mmlu": ("mmlu", {"choices": ["1", "2", "3", "4", "5"]}, "'choices' must have four texts, not 5"),
    "squad v2": ("squad", {"answers": {"text": [], "answer_start": []}}, "'answers' is empty"),
    "languages of wmt": ("wmt14_fr_en", {"translation": {"fr": "Oui.", "de": "Ja."}}, "'en' is missing"),
    "labels of truthfulqa": (
        "truthfulqa_mc",
        {"mc1_targets": {"choices": ["No", "Yes"], "labels": [1, 1]}},
        "a label for each choice, 1 for one of them",
    ),
    "answer of drop": (
        "drop",
        {
            "answer": {"number": "", "date": {}, "spans": []},
            "validated_answers": {"number": [], "date": [], "spans": []},
        },
        "'answer' has no number, no spans and no date",
    ),
    "answers of drop": (
        "drop",
        {"validated_answers": {"number": ["1"], "date": [], "spans": []}},
        "must be lists of one length",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_value_is_named(case: str, tmp_path: Path) -> None:
    name, fields, sentence = WRONG[case]
    rows = [*HUB_ROWS[name], HUB_ROWS[name][-1] | fields]
    file = write_jsonl(tmp_path / "rows.jsonl", rows)
    with pytest.raises(UserError) as raised:
        items_of(name, file)
    assert str(raised.value).startswith(f"{file}, line {len(rows)}")
    assert sentence in str(raised.value)


def test_a_line_of_a_csv_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "anatomy_val.csv"
    for line in ("What is it?,a,b,c,d,E", "What is it?,a,b,c,A"):
        file.write_text(f"What?,1,2,3,4,B\n\n{line}\n")
        with pytest.raises(
            UserError, match=r"anatomy_val\.csv, line 3: expected a question, four choices and a letter"
        ):
            items_of("mmlu", tmp_path)


def required_fields(name: str) -> set[str]:
    """The fields of the hub's rows that the items of a preset depend on."""
    unused = {"id", "idx", "query_id", "example_id", "mc2_targets", "validated_answers"}
    return set(HUB_ROWS[name][0]) - unused


@pytest.mark.parametrize(
    ("name", "field"), [(name, field) for name in PRESETS for field in sorted(required_fields(name))]
)
@pytest.mark.parametrize("value", [None, ..., 7.5, {}])
def test_a_field_that_is_missing_or_wrong_is_named(name: str, field: str, value: Any, tmp_path: Path) -> None:
    rows = [dict(row) for row in HUB_ROWS[name]]
    if value is ...:
        del rows[-1][field]
    else:
        rows[-1][field] = value
    file = write_jsonl(tmp_path / "rows.jsonl", rows)
    with pytest.raises(UserError) as raised:
        items_of(name, file)
    message = str(raised.value)
    assert message.startswith(f"{file}, line {len(rows)}")
    assert f"'{field}'" in message
    assert message.endswith(".")
    assert "\n" not in message


@pytest.mark.parametrize("name", PRESETS)
def test_an_unknown_form_is_refused_with_the_known_ones(name: str, tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "rows.jsonl", [{"text": "What is this?"}])
    with pytest.raises(
        UserError, match=r"rows\.jsonl.*not a known form of this benchmark; its rows have the fields '.*'text'"
    ):
        if name == "piqa":
            file.with_name("rows-labels.lst").write_text("0\n")
        items_of(name, file)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("content", [b"", b"[]", b"[1]", b"\xff\xfe", b"What is this?", b'{"a": 1', b"3"])
def test_a_file_of_anything_else_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"^[^\n]*rows\.jsonl[^\n]*\.$"):
        items_of(name, file)


@pytest.mark.parametrize("name", PRESETS)
def test_a_missing_file_and_an_empty_folder_are_named(name: str, tmp_path: Path) -> None:
    for file in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(UserError, match=str(file)):
            items_of(name, file)
