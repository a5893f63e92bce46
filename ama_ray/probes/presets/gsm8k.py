"""GSM8K (Cobbe et al., 2021); prompt and stop strings as the task `gsm8k` of lm-evaluation-harness 0.4.13.

The harness asks with five examples (`few_shot: {n: 5}`). Only training and test split are labelled: the search has the
training split, and the examples are of it too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ama_ray.probes.number import Number
from ama_ray.probes.presets.base import Form, Hub, Preset

if TYPE_CHECKING:
    from ama_ray.data.rows import Row


def _render(row: Row) -> dict[str, Any]:
    return {"prompt": f"Question: {row.text('question')}\nAnswer:", "answer": row.text("answer")}


PRESETS = {
    "gsm8k": Preset(
        family="math",
        kind=Number(max_tokens=256, stop=("Question:", "</s>", "<|im_end|>")),
        hub=Hub("openai/gsm8k", "main", search="train", report="test", few_shot="train"),
        forms=(Form(("question",)),),
        render=_render,
    )
}
