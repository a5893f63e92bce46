"""`Row`: one item of a file, and reading files of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ama_ray import reading
from ama_ray.errors import UserError
from ama_ray.reading import parse_json

if TYPE_CHECKING:
    from pathlib import Path


_LIMIT = 2**32
"""Bytes of a file of items: those that users make may be large."""


@dataclass(frozen=True)
class Row:
    """One item as it was read.

    Attributes:
        fields: By name.
        where: File and line, for errors.
    """

    fields: dict[str, Any]
    where: str

    def text(self, field: str) -> str:
        """The text of a field that must be there.

        Raises:
            UserError: The field is missing or is not text.
        """
        value = self.get(field)
        if not isinstance(value, str):
            raise UserError(f"{self.where}: the field {field!r} must be text, not {type(value).__name__}.")
        return value

    def get(self, field: str) -> Any:
        """The value of a field that must be there.

        Raises:
            UserError: The field is missing.
        """
        if field not in self.fields:
            raise UserError(f"{self.where}: the field {field!r} is missing; this row has {', '.join(self.fields)}.")
        return self.fields[field]


def _has_half_a_character(fields: dict[str, Any]) -> bool:
    """Whether a text holds a surrogate without its other half, which is in no encoding."""
    try:
        json.dumps(fields, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def read_text(file: Path) -> str:
    """Reads a UTF-8 file.

    Raises:
        UserError: The file is missing or not UTF-8.
    """
    try:
        return reading.read_text(file, "utf-8-sig", _LIMIT)
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); check the path.") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not UTF-8 at byte {error.start}; convert the file.") from None


def read_jsonl(file: Path) -> list[Row]:
    """Reads a file with one JSON object per line; blank lines are skipped.

    Raises:
        UserError: The file is missing, empty, not UTF-8, or a line is not a JSON object.
    """
    return parse_jsonl(read_text(file), file)


def parse_jsonl(text: str, file: Path) -> list[Row]:
    """The rows of a text, of which the file is named in errors.

    Raises:
        UserError: It has none, or a line is not a JSON object.
    """
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{file}, line {number}"
        try:
            fields = parse_json(line)
        except ValueError as error:
            raise UserError(f"{where}: not JSON ({getattr(error, 'msg', error)}); write one object per line.") from None
        if not isinstance(fields, dict):
            raise UserError(f"{where}: expected an object with fields, not {type(fields).__name__}.")
        if "\\ud" in line.lower() and _has_half_a_character(fields):
            raise UserError(
                f"{where}: half of a character (\\ud800 to \\udfff), as of an emoji that was cut in two; remove it."
            )
        rows.append(Row(fields, where))
    if not rows:
        raise UserError(f"{file}: has no rows; write one JSON object per line.")
    return rows
