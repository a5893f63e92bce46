"""ARC (Clark et al., 2018) and OpenBookQA (Mihaylov et al., 2018), which share their forms.

Prompts and choices as the tasks `arc_easy`, `arc_challenge` and `openbookqa` of lm-evaluation-harness 0.4.13.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ama_ray.errors import UserError
from ama_ray.probes.choice import Choice
from ama_ray.probes.presets.base import Form, Hub, Preset, each
from ama_ray.probes.presets.parsing import index, inner, objects, place, texts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ama_ray.data.rows import Row

_INSTRUCTION = re.compile(
    r"Please choose the correct answer to the question: (.*)\n\n(Answer1: .*)\n\nAnswer format: .*", re.S
)


def _choices(row: Row) -> dict[str, Any]:
    choices = inner(row, "choices")
    options, labels = texts(choices, "text"), texts(choices, "label")
    if len(options) != len(labels):
        raise UserError(f"{choices.where}: {len(options)} in 'text', but {len(labels)} in 'label'.")
    return {"choices": options, "gold": place(row, "answerKey", labels)}


def _question(row: Row) -> dict[str, Any]:
    return {"prompt": f"Question: {row.text('question')}\nAnswer:"} | _choices(row)


def _stem(row: Row) -> dict[str, Any]:
    return {"prompt": row.text("question_stem")} | _choices(row)


def _released(name: str) -> Callable[[Sequence[Row]], list[Row]]:
    """The form of AllenAI's releases, with the question's text under a name of its own."""

    def convert(row: Row) -> dict[str, Any]:
        question = inner(row, "question")
        choices = objects(question, "choices")
        return {
            name: question.text("stem"),
            "choices": {key: [choice.text(key) for choice in choices] for key in ("text", "label")},
            "answerKey": row.get("answerKey"),
        }

    return each(convert)


def _arc_rows(rows: Sequence[Row]) -> list[Row]:
    """Tells rows of the hub from released ones; both have a field `question`."""
    return _released("question")(rows) if isinstance(rows[0].fields["question"], dict) else list(rows)


def _instruction(row: Row) -> dict[str, Any]:
    """The re-hosted form: question and choices in one text, `Answer1: ... Answer2: ...`."""
    match = _INSTRUCTION.fullmatch(row.text("instruction"))
    if not match:
        raise UserError(
            f"{row.where}: the field 'instruction' must hold a question, Answer1: ..., and the answer format."
        )
    options = re.split(r"(?:^| )Answer\d+: ", match[2])[1:]
    labels = [f"answer{number}" for number in range(1, len(options) + 1)]
    return {
        "question": match[1],
        "choices": {"text": options, "label": labels},
        "answerKey": row.get("answer"),
    }


def _foundry(row: Row) -> dict[str, Any]:
    """The form of llm-foundry."""
    options = texts(row, "choices")
    labels = [chr(ord("A") + i) for i in range(len(options))]
    return {
        "question_stem": row.text("query"),
        "choices": {"text": options, "label": labels},
        "answerKey": labels[index(row, "gold", len(options))],
    }


def _arc(name: str, kind: Choice) -> Preset:
    return Preset(
        family="common-sense",
        kind=kind,
        hub=Hub("allenai/ai2_arc", name, search="validation", report="test", few_shot="train"),
        forms=(Form(("question",), _arc_rows), Form(("instruction", "answer"), each(_instruction))),
        render=_question,
    )


PRESETS = {
    "arc_easy": _arc("ARC-Easy", Choice()),
    "arc_challenge": _arc("ARC-Challenge", Choice(metric="acc_norm")),
    "openbookqa": Preset(
        family="common-sense",
        kind=Choice(metric="acc_norm"),
        hub=Hub("allenai/openbookqa", "main", search="validation", report="test", few_shot="train"),
        forms=(
            Form(("question_stem",)),
            Form(("question",), _released("question_stem")),
            Form(("query",), each(_foundry)),
        ),
        render=_stem,
    ),
}
