"""BoolQ (Clark et al., 2019) and COPA (Roemmele et al., 2011), as in SuperGLUE.

Prompts and choices as the tasks `boolq` and `copa` of lm-evaluation-harness 0.4.13.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ama_ray.errors import UserError
from ama_ray.probes.choice import Choice
from ama_ray.probes.presets.base import Form, Hub, Preset, each
from ama_ray.probes.presets.parsing import index, texts

if TYPE_CHECKING:
    from ama_ray.data.rows import Row

_BOOLQ_QUERY = re.compile(r"Passage: (.*)\nQuestion: (.*)\?", re.S)
_COPA_QUERY = re.compile(r"(.*), (because|therefore)", re.S)
_CONNECTORS = {"cause": "because", "effect": "therefore"}


def _boolq(row: Row) -> dict[str, Any]:
    label = row.get("label")
    return {
        "prompt": f"{row.text('passage')}\nQuestion: {row.text('question')}?\nAnswer:",
        "choices": ["no", "yes"],
        # The hub has 0 and 1, the releases have false and true.
        "gold": int(label) if isinstance(label, bool) else index(row, "label", 2),
    }


def _boolq_foundry(row: Row) -> dict[str, Any]:
    match = _BOOLQ_QUERY.fullmatch(row.text("query"))
    if not match:
        raise UserError(f"{row.where}: the field 'query' must be 'Passage: ...', a line break, and 'Question: ...?'.")
    if texts(row, "choices") != ["no", "yes"]:
        raise UserError(f"{row.where}: the field 'choices' must be no and yes, in this order.")
    return {"passage": match[1], "question": match[2], "label": index(row, "gold", 2)}


def _copa(row: Row) -> dict[str, Any]:
    question = row.text("question")
    if question not in _CONNECTORS:
        raise UserError(f"{row.where}: the field 'question' must be cause or effect, not {question!r}.")
    # The harness has a space before a choice, and one more between prompt and choice; so have we.
    choices = [" " + choice[:1].lower() + choice[1:] for choice in (row.text("choice1"), row.text("choice2"))]
    return {
        "prompt": f"{row.text('premise').strip()[:-1]} {_CONNECTORS[question]}",
        "choices": choices,
        "gold": index(row, "label", 2),
    }


def _copa_foundry(row: Row) -> dict[str, Any]:
    match = _COPA_QUERY.fullmatch(row.text("query"))
    choices = texts(row, "choices")
    if not match or len(choices) != 2:
        raise UserError(f"{row.where}: the field 'query' must end with ', because' or ', therefore', for two choices.")
    question = next(question for question, connector in _CONNECTORS.items() if connector == match[2])
    return {
        "premise": match[1] + ".",
        "question": question,
        "choice1": choices[0],
        "choice2": choices[1],
        "label": index(row, "gold", 2),
    }


def _released_boolq(row: Row) -> dict[str, Any]:
    return {"passage": row.get("passage"), "question": row.get("question"), "label": row.get("answer")}


PRESETS = {
    "boolq": Preset(
        family="reading",
        kind=Choice(),
        hub=Hub("aps/super_glue", "boolq", search="validation", few_shot="train"),
        forms=(
            Form(("passage", "label")),
            Form(("passage", "answer"), each(_released_boolq)),
            Form(("query",), each(_boolq_foundry)),
        ),
        render=_boolq,
    ),
    "copa": Preset(
        family="common-sense",
        kind=Choice(),
        hub=Hub("aps/super_glue", "copa", search="validation", few_shot="train"),
        forms=(Form(("premise",)), Form(("query",), each(_copa_foundry))),
        render=_copa,
    ),
}
