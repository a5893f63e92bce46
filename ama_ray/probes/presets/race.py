"""RACE (Lai et al., 2017).

One item per article, as the task `race` of lm-evaluation-harness 0.4.13: its last question is asked after the answers
to the others. The harness reads a dataset with the test split alone; this one has a validation split too.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from ama_ray.data.rows import Row
from ama_ray.errors import UserError
from ama_ray.probes.choice import Choice
from ama_ray.probes.presets.base import Form, Hub, Preset, each
from ama_ray.probes.presets.parsing import objects, place, records, texts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LETTERS = ("A", "B", "C", "D")
_BLANK = "  _  ."


def _read(file: Path) -> list[Row]:
    """Reads rows, or the release: a folder of text files, each with an article and its questions as JSON."""
    files = sorted(file.rglob("*.txt")) if file.is_dir() else [file]
    if not files:
        raise UserError(f"{file}: this folder has no .txt files; name one of RACE's folders, such as dev/high.")
    return [row for each_file in files for row in records(each_file)]


def _answered(problem: Row) -> str:
    """The text of the right option of a problem."""
    options = texts(problem, "options")
    return options[place(problem, "answer", _LETTERS[: len(options)])]


def _render(row: Row) -> dict[str, Any]:
    problems = objects(row, "problems")
    if not problems:
        raise UserError(f"{row.where}: this article has no questions; give it one.")
    *earlier, last = problems
    lines = []
    for problem in earlier:
        question = problem.text("question")
        if question.endswith(_BLANK):
            lines.append(question[: 1 - len(_BLANK)] + _answered(problem))
        else:
            lines += [f"Question: {question}", f"Answer: {_answered(problem)}"]
    options = texts(last, "options")
    return {
        "prompt": f"Article: {row.text('article')}\n\n"
        + "".join(line + "\n" for line in lines)
        + last.text("question"),
        "choices": options,
        "gold": place(last, "answer", _LETTERS[: len(options)]),
    }


def _grouped(rows: Sequence[Row]) -> list[Row]:
    """Questions, one a row, by article."""
    articles: dict[str, list[Row]] = {}
    for row in rows:
        articles.setdefault(row.text("article"), []).append(row)
    return [
        Row({"article": article, "problems": [problem.fields for problem in problems]}, problems[-1].where)
        for article, problems in articles.items()
    ]


def _literal(row: Row) -> dict[str, Any]:
    """The harness's dataset has the problems as the text of a Python list."""
    try:
        problems = ast.literal_eval(row.text("problems"))
    except (SyntaxError, ValueError):
        raise UserError(f"{row.where}: the field 'problems' must be the text of a list of questions.") from None
    return {"article": row.get("article"), "problems": problems}


def _released(row: Row) -> dict[str, Any]:
    lists = [row.get(field) for field in ("questions", "options", "answers")]
    if not all(isinstance(values, list) for values in lists) or len({len(values) for values in lists}) > 1:
        raise UserError(f"{row.where}: the fields 'questions', 'options' and 'answers' must be lists of one length.")
    problems = [
        dict(zip(("question", "options", "answer"), each_one, strict=True)) for each_one in zip(*lists, strict=True)
    ]
    return {"article": row.get("article"), "problems": problems}


PRESETS = {
    "race": Preset(
        family="common-sense",
        kind=Choice(),
        hub=Hub("ehovy/race", "high", search="validation", report="test", few_shot="train"),
        forms=(
            Form(("article", "question", "options"), _grouped),
            Form(("article", "problems"), each(_literal)),
            Form(("article", "questions"), each(_released)),
        ),
        render=_render,
        read=_read,
    )
}
