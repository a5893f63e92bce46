"""SQuAD v1.1 (Rajpurkar et al., 2016): F1 of a greedy answer.

The prompt is that of the task `squadv2` of lm-evaluation-harness 0.4.13. Its other one, `squad_completion`, asks for
the end of a cloze sentence, has a dataset of its own, and looks for the answer in the reply instead of scoring F1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ama_ray.data.rows import Row
from ama_ray.errors import UserError
from ama_ray.probes.f1 import F1
from ama_ray.probes.presets.base import Form, Hub, Preset
from ama_ray.probes.presets.parsing import inner, objects, texts

if TYPE_CHECKING:
    from collections.abc import Sequence


def _render(row: Row) -> dict[str, Any]:
    parts = {"Title": "title", "Background": "context", "Question": "question"}
    answers = texts(inner(row, "answers"), "text", least=0)
    if not answers:
        raise UserError(
            f"{row.where}: the field 'answers' is empty; this preset takes SQuAD v1.1, where every item has one."
        )
    return {
        "prompt": "".join(f"{label}: {row.text(field)}\n\n" for label, field in parts.items()) + "Answer:",
        "answer": list(dict.fromkeys(answers)),
    }


def _released(rows: Sequence[Row]) -> list[Row]:
    documents = []
    file = rows[0].where.rpartition(",")[0]
    for article in (article for row in rows for article in objects(row, "data")):
        for paragraph in objects(article, "paragraphs"):
            for asked in objects(paragraph, "qas"):
                fields = {
                    "title": article.text("title"),
                    "context": paragraph.text("context"),
                    "question": asked.get("question"),
                    "answers": {"text": [answer.text("text") for answer in objects(asked, "answers")]},
                }
                documents.append(Row(fields, f"{file}, question {asked.get('id')}"))
    return documents


PRESETS = {
    "squad": Preset(
        family="reading",
        kind=F1(max_tokens=256, stop=("\n",)),
        hub=Hub("rajpurkar/squad", None, search="validation", few_shot="train"),
        forms=(Form(("context", "answers")), Form(("data",), _released)),
        render=_render,
    )
}
