"""HellaSwag (Zellers et al., 2019); prompts and choices as the task `hellaswag` of lm-evaluation-harness 0.4.13."""

from __future__ import annotations

import bz2
import re
from typing import TYPE_CHECKING, Any

from ama_ray.data.rows import Row, read_text
from ama_ray.errors import UserError
from ama_ray.probes.choice import Choice
from ama_ray.probes.presets.base import Form, Hub, Preset
from ama_ray.probes.presets.parsing import index, records, texts
from ama_ray.reading import read_bytes

if TYPE_CHECKING:
    from pathlib import Path

_LINES = 6
_SENTENCE_END = re.compile(r"""[.!?]["')]*$""")
_UNFINISHED = re.compile(r"""(?:(.*[.!?]["')]*) )?(.*)""", re.S)


def _clean(text: str) -> str:
    """Removes the marks that WikiHow's articles left in the text."""
    return re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". ")).replace("  ", " ")


def _render(row: Row) -> dict[str, Any]:
    context = f"{row.text('ctx_a')} {row.text('ctx_b').capitalize()}"
    endings = texts(row, "endings")
    return {
        "prompt": _clean(f"{row.text('activity_label')}: {context}"),
        "choices": [_clean(ending) for ending in endings],
        "gold": index(row, "label", len(endings)),
    }


def _read(file: Path) -> list[Row]:
    """Reads rows; or text, plain or bz2, with six lines an item: `activity: context`, label, four endings."""
    if file.suffix not in (".txt", ".bz2"):
        return records(file)
    lines = _text(file).removesuffix("\n").split("\n")
    if len(lines) % _LINES:
        raise UserError(f"{file}: {len(lines)} lines are not six an item: 'activity: context', label, four endings.")
    return [_item(lines[i : i + _LINES], f"{file}, line {i + 1}") for i in range(0, len(lines), _LINES)]


def _text(file: Path) -> str:
    if file.suffix == ".txt":
        return read_text(file)
    try:
        return bz2.decompress(read_bytes(file)).decode()
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read as UTF-8 text in bz2 ({error}); check the file.") from None


def _item(lines: list[str], where: str) -> Row:
    activity, colon, context = lines[0].partition(": ")
    if not colon:
        raise UserError(f"{where}: expected 'activity: context', the first of six lines of an item.")
    first, second = context, ""
    if not _SENTENCE_END.search(context):
        # The text has both parts of a context in one; the second is the sentence that the ending completes.
        match = _UNFINISHED.fullmatch(context)
        first, second = (match[1] or "", match[2]) if match else (context, "")
    fields = {"activity_label": activity, "ctx_a": first, "ctx_b": second, "label": lines[1], "endings": lines[2:]}
    return Row(fields, where)


PRESETS = {
    "hellaswag": Preset(
        family="common-sense",
        kind=Choice(metric="acc_norm"),
        hub=Hub("Rowan/hellaswag", None, search="validation", few_shot="train"),
        forms=(Form(("ctx_a", "ctx_b")),),
        render=_render,
        read=_read,
    )
}
