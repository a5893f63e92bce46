"""PIQA (Bisk et al., 2020); prompts and choices as the task `piqa` of lm-evaluation-harness 0.4.13."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ama_ray.data.rows import Row, read_text
from ama_ray.errors import UserError
from ama_ray.probes.choice import Choice
from ama_ray.probes.presets.base import Form, Hub, Preset
from ama_ray.probes.presets.parsing import index, records

if TYPE_CHECKING:
    from pathlib import Path


def _read(file: Path) -> list[Row]:
    """Reads rows; the release has their labels in a file beside it, one a line: `valid.jsonl`, `valid-labels.lst`."""
    rows = records(file)
    if "label" in rows[0].fields:
        return rows
    labels_file = file.with_name(f"{file.stem}-labels.lst")
    if not labels_file.is_file():
        raise UserError(
            f"{rows[0].where}: the field 'label' is missing, and there is no {labels_file} with the labels."
        )
    labels = read_text(labels_file).split()
    if len(labels) != len(rows):
        raise UserError(
            f"{labels_file}: {len(labels)} labels for the {len(rows)} rows of {file}; they must be as many."
        )
    return [Row(row.fields | {"label": label}, row.where) for row, label in zip(rows, labels, strict=True)]


def _render(row: Row) -> dict[str, Any]:
    return {
        "prompt": f"Question: {row.text('goal')}\nAnswer:",
        "choices": [row.text("sol1"), row.text("sol2")],
        "gold": index(row, "label", 2),
    }


PRESETS = {
    "piqa": Preset(
        family="common-sense",
        kind=Choice(),
        hub=Hub("baber/piqa", None, search="validation", few_shot="train"),
        forms=(Form(("goal",)),),
        render=_render,
        read=_read,
    )
}
