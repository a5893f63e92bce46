"""HumanEval (Chen et al., 2021) and MBPP (Austin et al., 2021); worded as the tasks of lm-evaluation-harness 0.4.13."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

from ama_ray.errors import UserError
from ama_ray.probes.presets.base import Form, Hub, Preset
from ama_ray.probes.presets.parsing import parse_records, records
from ama_ray.probes.verified import Code
from ama_ray.reading import read_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.data.rows import Row


def _humaneval(row: Row) -> dict[str, Any]:
    return {
        "prompt": row.text("prompt"),
        "prefix": row.text("prompt"),
        "answer": row.text("canonical_solution"),
        "test": f"{row.text('test')}\n\ncheck({row.text('entry_point')})",
    }


def _read(file: Path) -> list[Row]:
    """Reads a local copy, which releases have as `.jsonl.gz`."""
    if file.suffix != ".gz":
        return records(file)
    try:
        return parse_records(gzip.decompress(read_bytes(file)).decode(), file)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read ({error}); check the file.") from None


def _mbpp(row: Row) -> dict[str, Any]:
    tests = row.get("test_list")
    if not isinstance(tests, list) or not tests or not all(isinstance(test, str) for test in tests):
        raise UserError(f"{row.where}: the field 'test_list' must be a list of texts.")
    before = row.fields.get("test_setup_code") or "\n".join(row.fields.get("test_imports") or ())
    shown = "\n".join(tests[:3])
    task = row.text("prompt" if "prompt" in row.fields else "text")
    return {
        "prompt": "You are an expert Python programmer, and here is your task: "
        f"{task} Your code should pass these tests:\n\n{shown}\n[BEGIN]\n",
        "answer": f"{row.text('code')}\n[DONE]",
        "test": "\n".join([before, *tests]),
    }


PRESETS = {
    "humaneval": Preset(
        family="code",
        kind=Code(max_tokens=1024, stop=("\nclass", "\ndef", "\n#", "\nif", "\nprint"), delimiter=""),
        hub=Hub("openai/openai_humaneval", None, search="test"),
        forms=(Form(("prompt", "test", "entry_point")),),
        render=_humaneval,
        read=_read,
    ),
    "mbpp": Preset(
        family="code",
        kind=Code(max_tokens=512, stop=("[DONE]",), delimiter=""),
        hub=Hub("google-research-datasets/mbpp", "full", search="train", report="test", few_shot="prompt"),
        forms=(Form(("text", "code", "test_list")), Form(("prompt", "code", "test_list"))),
        render=_mbpp,
        read=_read,
    ),
}
