"""Reading the JSON-lines files of a run, with errors that name file, line and field."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ama_ray.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path


def read_rows(file: Path) -> list[dict[str, Any]]:
    """Reads a file with one JSON object per line; blank lines are skipped.

    Raises:
        UserError: The file is missing, empty, not UTF-8, or a line is not a JSON object.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); check the path.") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not UTF-8 at byte {error.start}; convert the file.") from None
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{file}, line {number}: not JSON ({error.msg}); write one object per line.") from None
        if not isinstance(row, dict):
            raise UserError(f"{file}, line {number}: expected an object with fields, not {type(row).__name__}.")
        rows.append(row)
    if not rows:
        raise UserError(f"{file}: has no rows; write one JSON object per line.")
    return rows


def text_field(row: dict[str, Any], field: str, file: Path, number: int) -> str:
    """The text of a field that must be there.

    Args:
        row: One row of the file.
        field: Name of the field.
        file: Where the row is from, for the error.
        number: Position of the row among the rows of the file, from 1, for the error.

    Raises:
        UserError: The field is missing or is not text.
    """
    if field not in row:
        raise UserError(f"{file}, row {number}: the field {field!r} is missing; this row has {', '.join(row)}.")
    if not isinstance(row[field], str):
        raise UserError(f"{file}, row {number}: the field {field!r} must be text, not {type(row[field]).__name__}.")
    return str(row[field])
