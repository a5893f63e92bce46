"""DROP (Dua et al., 2019): F1 of a greedy answer; prompt, stop string and answers as lm-evaluation-harness 0.4.13."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ama_ray.data.rows import Row
from ama_ray.errors import UserError
from ama_ray.probes.f1 import F1
from ama_ray.probes.presets.base import Form, Hub, Preset
from ama_ray.probes.presets.parsing import as_row, inner, objects, records, texts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_PARTS = ("number", "date", "spans")


def _read(file: Path) -> list[Row]:
    """Reads rows, or the release: an object from the name of a passage to the passage and its questions."""
    rows = records(file)
    passages = rows[0].fields
    if len(rows) > 1 or not isinstance(next(iter(passages.values()), None), dict):
        return rows
    return [as_row(passage, f"{file}, passage {name}") for name, passage in passages.items()]


def _answer(row: Row) -> str | list[str]:
    """One right answer: a number, a list of spans, or a date."""
    if (number := str(row.get("number"))) != "":
        return number
    if spans := texts(row, "spans", least=0):
        return spans[0] if len(spans) == 1 else spans
    date = inner(row, "date").fields
    return " ".join(str(date.get(part, "")) for part in ("day", "month", "year")).strip()


def _validated(row: Row) -> list[Row]:
    """Further right answers; the hub has a list for each part instead of an object for each answer."""
    validated = row.fields.get("validated_answers", [])
    if not isinstance(validated, dict):
        return objects(row, "validated_answers") if validated else []
    where = f"{row.where}, field 'validated_answers'"
    lists = [as_row(validated, where).get(part) for part in _PARTS]
    if not all(isinstance(values, list) for values in lists) or len({len(values) for values in lists}) > 1:
        raise UserError(f"{where}: the fields 'number', 'date' and 'spans' must be lists of one length.")
    return [Row(dict(zip(_PARTS, parts, strict=True)), where) for parts in zip(*lists, strict=True)]


def _render(row: Row) -> dict[str, Any]:
    answers: list[str | list[str]] = []
    for answer in (_answer(candidate) for candidate in [inner(row, "answer"), *_validated(row)]):
        if answer not in answers and (answer if isinstance(answer, str) else answer[0]).strip():
            answers.append(answer)
    if not answers:
        raise UserError(f"{row.where}: the field 'answer' has no number, no spans and no date; give it one.")
    return {"prompt": f"{row.text('passage')} {row.text('question')}", "answer": answers}


def _released(rows: Sequence[Row]) -> list[Row]:
    return [
        Row({"passage": row.get("passage")} | pair.fields, f"{row.where} question {number}")
        for row in rows
        for number, pair in enumerate(objects(row, "qa_pairs"), start=1)
    ]


PRESETS = {
    "drop": Preset(
        family="reading",
        kind=F1(normalize="drop", max_tokens=256, stop=(".",), delimiter=""),
        hub=Hub("EleutherAI/drop", None, search="validation", few_shot="train"),
        forms=(Form(("passage", "question")), Form(("passage", "qa_pairs"), _released)),
        render=_render,
        read=_read,
    )
}
