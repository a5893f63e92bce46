"""WinoGrande (Sakaguchi et al., 2019), scored by what follows the option ("partial evaluation").

Prompts and continuations as the task `winogrande` of lm-evaluation-harness 0.4.13.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ama_ray.errors import UserError
from ama_ray.probes.choice import Choice
from ama_ray.probes.presets.base import Form, Hub, Preset, each
from ama_ray.probes.presets.parsing import index, place, texts

if TYPE_CHECKING:
    from ama_ray.data.rows import Row


def _completed(row: Row) -> dict[str, Any]:
    before, blank, after = row.text("sentence").partition("_")
    if not (blank and after.strip()):
        raise UserError(f"{row.where}: the field 'sentence' must have a '_' with text after it.")
    return {
        "context_options": [before + row.text("option1"), before + row.text("option2")],
        "continuation": after.strip(),
        "gold": place(row, "answer", ("1", "2")),
    }


def _render(row: Row) -> dict[str, Any]:
    prompts = texts(row, "context_options")
    return {"prompts": prompts, "continuation": row.text("continuation"), "gold": index(row, "gold", len(prompts))}


PRESETS = {
    "winogrande": Preset(
        family="common-sense",
        kind=Choice(),
        hub=Hub("allenai/winogrande", "winogrande_xl", search="validation", few_shot="train"),
        forms=(Form(("sentence",), each(_completed)), Form(("context_options",))),
        render=_render,
    )
}
