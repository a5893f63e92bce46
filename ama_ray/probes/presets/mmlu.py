"""MMLU (Hendrycks et al., 2021); prompts as the tasks `mmlu_*` of lm-evaluation-harness 0.4.13.

Examples are the first ones of the item's own subject, as there.
"""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Any

from ama_ray.data.rows import Row, read_text
from ama_ray.errors import UserError
from ama_ray.probes.letter import Letter
from ama_ray.probes.presets.base import Form, Hub, Preset
from ama_ray.probes.presets.parsing import index, records, texts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LETTERS = "ABCD"
_CELLS = 6


def _read(file: Path) -> list[Row]:
    """Reads rows, or the release: a folder of CSV files without header, one a subject, such as `anatomy_val.csv`."""
    if not file.is_dir():
        return records(file)
    files = sorted(file.glob("*.csv"))
    if not files:
        raise UserError(f"{file}: this folder has no .csv files; name one of MMLU's folders, such as val.")
    rows = [row for each_file in files for row in _subject(each_file)]
    if not rows:
        raise UserError(f"{file}: the .csv files of this folder are empty; they should have a question a line.")
    return rows


def _subject(file: Path) -> list[Row]:
    subject = re.sub(r"_(dev|val|test)$", "", file.stem)
    reader = csv.reader(io.StringIO(read_text(file), newline=""))
    rows = []
    for cells in filter(None, reader):
        where = f"{file}, line {reader.line_num}"
        if len(cells) != _CELLS or cells[-1] not in tuple(_LETTERS):
            raise UserError(f"{where}: expected a question, four choices and a letter from A to D.")
        question, *choices, letter = cells
        fields = {"subject": subject, "question": question, "choices": choices, "answer": _LETTERS.index(letter)}
        rows.append(Row(fields, where))
    return rows


def _topic(subject: str) -> str:
    return f"The following are multiple choice questions (with answers) about {subject.replace('_', ' ')}.\n\n"


def _render(row: Row) -> dict[str, Any]:
    choices = texts(row, "choices", least=len(_LETTERS))
    if len(choices) != len(_LETTERS):
        raise UserError(f"{row.where}: the field 'choices' must have four texts, not {len(choices)}.")
    lettered = [f"{letter}. {choice}" for letter, choice in zip(_LETTERS, choices, strict=True)]
    question = "\n".join([row.text("question").strip(), *lettered, "Answer:"])
    return {
        "prompt": _topic(row.text("subject")) + question,
        "choices": choices,
        "gold": index(row, "answer", len(choices)),
        "subject": row.text("subject"),
    }


def _in_front(items: Sequence[Row], examples: Sequence[Row], n: int) -> tuple[Row, ...]:
    solved: dict[str, list[str]] = {}
    for row in examples:
        fields = row.fields
        question = fields["prompt"].removeprefix(_topic(fields["subject"]))
        solved.setdefault(fields["subject"], []).append(f"{question} {_LETTERS[fields['gold']]}\n\n")
    rows = []
    for row in items:
        subject = row.fields["subject"]
        topic, shown = _topic(subject), solved.get(subject, [])[:n]
        if len(shown) < n:
            raise UserError(f"{row.where}: {len(shown)} examples of the subject {subject!r}, but few_shot.n is {n}.")
        question = row.fields["prompt"].removeprefix(topic)
        rows.append(Row(row.fields | {"prompt": topic + "".join(shown) + question}, row.where))
    return tuple(rows)


PRESETS = {
    "mmlu": Preset(
        family="knowledge",
        kind=Letter(),
        hub=Hub("cais/mmlu", "all", search="validation", report="test", few_shot="dev"),
        forms=(Form(("subject", "question")),),
        render=_render,
        read=_read,
        examples_beside=lambda file: file.parent / "dev",
        in_front=_in_front,
    )
}
