"""MATH (Hendrycks et al., 2021) and MATH-500; worded as the task `minerva_math` of lm-evaluation-harness 0.4.13.

Answers are compared by math-verify, the `math_verify` metric of that task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ama_ray.errors import UserError
from ama_ray.probes.presets.base import Form, Hub, Preset
from ama_ray.probes.verified import Math

if TYPE_CHECKING:
    from ama_ray.data.rows import Row

_BOX = "\\boxed{"


def _render(row: Row) -> dict[str, Any]:
    solution = row.text("solution")
    return {
        "prompt": f"Problem:\n{row.text('problem')}\n\nSolution:",
        "answer": _last_box(solution, row.where),
        "solution": solution,
    }


def _last_box(solution: str, where: str) -> str:
    """The last boxed answer of a solution, box and all."""
    start, depth = solution.rfind(_BOX), 0
    for place in range(max(start, 0), len(solution)):
        depth += {"{": 1, "}": -1}.get(solution[place], 0)
        if start >= 0 and solution[place] == "}" and not depth:
            return solution[start : place + 1]
    raise UserError(f"{where}: the field 'solution' has no \\boxed{{answer}}.")


def _preset(hub: Hub) -> Preset:
    return Preset(
        family="math",
        kind=Math(max_tokens=1024, stop=("Problem:",)),
        hub=hub,
        forms=(Form(("problem", "solution")),),
        render=_render,
    )


PRESETS = {
    "math": _preset(Hub("DigitalLearningGmbH/MATH-lighteval", None, search="train", report="test", few_shot="train")),
    "math500": _preset(Hub("HuggingFaceH4/MATH-500", None, search="test")),
}
